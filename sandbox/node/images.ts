/** Images: how a reference is read, and what an image's configuration says about the program to run. */
import { at, mapAt, stringAt } from '../api/json.ts'

export interface Image {
  /** `registry/repository@sha256:…` */
  id: string
  entrypoint: string[]
  cmd: string[]
  /** `NAME=value` */
  env: string[]
  /** Empty where the image names none. */
  workingDir: string
  labels: Record<string, string>
}

export interface Reference {
  registry: string
  repository: string
  /** A tag, or a digest where there is one. */
  version: string
}

/** Why an image could not be had; `reason` is the one that a kubelet shows. */
export class ImageError extends Error {
  readonly reason: 'ErrImagePull' | 'InvalidImageName' | 'ErrImageNeverPull'

  constructor(reason: ImageError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const ACCEPT = `${MANIFEST}, application/vnd.docker.distribution.manifest.v2+json`
const PULL_TIMEOUT_MS = 10_000

/** @throws ImageError InvalidImageName */
export function parseReference(image: string): Reference {
  const match =
    /^(?:([\w.-]+(?::\d+)|localhost|[\w-]+(?:\.[\w-]+)+)\/)?([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(
      image,
    )
  if (!match) {
    const message = `Failed to apply default image tag "${image}": couldn't parse image reference "${image}": invalid reference format`
    throw new ImageError('InvalidImageName', message)
  }
  const [, registry = 'docker.io', repository = '', tag = 'latest', digest] = match
  return { registry, repository, version: digest ?? tag }
}

/** Makes an error in a container runtime's words. */
type Refusal = (why: string, code?: 'NotFound' | 'Unknown') => ImageError

export class Images {
  #cache = new Map<string, Image>()

  /** The image as it was last pulled here. */
  get(image: string): Image | undefined {
    return this.#cache.get(image)
  }

  /** Asks the registry, every time. @throws ImageError */
  async pull(image: string): Promise<Image> {
    const reference = parseReference(image)
    const refuse: Refusal = (why, code = 'Unknown') =>
      new ImageError(
        'ErrImagePull',
        `rpc error: code = ${code} desc = failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${why}`,
      )
    if (!/^(127\.\d+\.\d+\.\d+|localhost)(:\d+)?$/.test(reference.registry)) {
      throw refuse(`the sandbox pulls from registries on this machine only, not from ${reference.registry}`)
    }
    const base = `http://${reference.registry}/v2/${reference.repository}`
    const manifest = await download(`${base}/manifests/${reference.version}`, image, refuse)
    const digest = `sha256:${sha256(manifest)}`
    if (reference.version.startsWith('sha256:') && digest !== reference.version) {
      throw refuse(`the registry answered with ${digest}`)
    }
    const config = stringAt(JSON.parse(manifest), 'config', 'digest')
    const text = await download(`${base}/blobs/${config}`, image, refuse)
    const pulled = imageOf(`${reference.registry}/${reference.repository}@${digest}`, text)
    this.#cache.set(image, pulled)
    return pulled
  }
}

/** Hexadecimal. */
export function sha256(content: string | Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(content).digest('hex')
}

function imageOf(id: string, text: string): Image {
  const image: unknown = JSON.parse(text)
  const strings = (field: string): string[] => {
    const list = at(image, 'config', field)
    return Array.isArray(list) ? list.map(String) : []
  }
  const labels = mapAt(image, 'config', 'Labels')
  return {
    id,
    entrypoint: strings('Entrypoint'),
    cmd: strings('Cmd'),
    env: strings('Env'),
    workingDir: stringAt(image, 'config', 'WorkingDir'),
    labels: Object.fromEntries(Object.keys(labels).map((key) => [key, stringAt(labels, key)])),
  }
}

async function download(url: string, image: string, refuse: Refusal): Promise<string> {
  const headers = { Accept: ACCEPT }
  const signal = AbortSignal.timeout(PULL_TIMEOUT_MS)
  const response = await fetch(url, { headers, signal }).catch((error: unknown) => {
    throw refuse(
      `failed to do request: Get "${url}": ${error instanceof Error ? error.message : String(error)}`,
    )
  })
  if (response.status === 404) throw refuse(`${image}: not found`, 'NotFound')
  if (!response.ok) throw refuse(`unexpected status from GET request to ${url}: ${response.status}`)
  return response.text()
}
