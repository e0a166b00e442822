/** Puts any text where the release of an image is kept, as whoever may push there can. */
import { besideOf } from '../../../lib/image/beside.ts'

const sha = (text: string): string => `sha256:${new Bun.CryptoHasher('sha256').update(text).digest('hex')}`

const TYPE = 'application/vnd.deploy-scripts.release.v1+json'

const put = async (url: string, method: string, body: string, type = 'application/octet-stream') => {
  const { ok, status } = await fetch(url, { method, body, headers: { 'content-type': type } })
  if (!ok) throw new Error(`${url} answered ${status}`)
}

/** In two steps, as every registry takes it. */
async function putBlob(base: string, blob: string): Promise<void> {
  const { headers } = await fetch(`${base}/blobs/uploads/`, { method: 'POST' })
  const place = new URL(headers.get('location') ?? '', base)
  place.searchParams.set('digest', sha(blob))
  await put(place.href, 'PUT', blob)
}

export async function putBeside(
  image: string,
  digest: string,
  text: string,
  { type = TYPE, renewal = 1 }: { type?: string; renewal?: number } = {},
): Promise<void> {
  const [host, ...path] = image.split('/')
  const base = `http://${host}/v2/${path.join('/')}`
  for (const blob of ['{}', text]) await putBlob(base, blob)
  const layers = [{ mediaType: type, digest: sha(text), size: Buffer.byteLength(text) }]
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha('{}'), size: 2 }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType, artifactType: type, config, layers })
  const tag = besideOf('', digest, renewal).slice(1)
  await put(`${base}/manifests/${tag}`, 'PUT', manifest, mediaType)
}
