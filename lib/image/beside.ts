/**
 * The release of an image, kept beside it in the registry as an artifact of one layer (OCI image specification 1.1,
 * "artifact usage"), under a tag made of the image's digest, as cosign has it for signatures. Registries that know
 * no referrers keep it, too. Whoever may push there may have written it.
 */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Shell } from '../command.ts'
import { DeployError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { digestOf, findDigest, pushBlob, pushManifest, readBlob, readManifest } from './registry.ts'
import { release as schema, type Release } from './release-file.ts'

const RELEASE_TYPE = 'application/vnd.deploy-scripts.release.v1+json'

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'

/** The configuration of what is no image: OCI's empty descriptor. */
const EMPTY = Buffer.from('{}')

/** Where the release of a digest is kept. Where tags cannot be moved, one that is renewed has a number behind it. */
export function besideOf(image: string, digest: string, renewal = 1): string {
  return `${image}:${digest.replace(':', '-')}.release${renewal === 1 ? '' : `.${renewal}`}`
}

const artifact = z.object({
  artifactType: z.literal(RELEASE_TYPE),
  layers: z.tuple([z.object({ digest: z.string() })]),
})

/**
 * What the registry keeps as the release of an image, which is given by digest.
 * @returns undefined when it keeps none
 * @throws DeployError (1) when it does not answer, or what it keeps is no release of this digest
 */
export async function findRelease(byDigest: string, shell: Shell): Promise<Release | undefined> {
  const [image = '', digest = ''] = byDigest.split('@')
  const renewal = await newest(image, digest, shell)
  const found = renewal && (await readManifest(besideOf(image, digest, renewal), shell))
  if (!found) return undefined
  const { data: manifest } = artifact.safeParse(parseJson(found.content.toString()))
  const text = manifest && (await readBlob(image, manifest.layers[0].digest, shell)).toString()
  const { data } = schema.safeParse(parseJson(text ?? ''))
  if (data?.digest === digest) return data
  throw new DeployError(
    `what the registry keeps beside it is ${data ? "another digest's" : 'no release file'}`,
  )
}

/** A release is renewed once a day or so; a registry that has more than this answers whatever it is asked. */
const MOST = 1000

/** The number of the last one, counted from 1; 0 when there is none. */
async function newest(image: string, digest: string, shell: Shell): Promise<number> {
  for (let count = 0; count < MOST; count++)
    if ((await findDigest(besideOf(image, digest, count + 1), shell)) === undefined) return count
  throw new DeployError(
    `The registry has more than ${MOST} releases beside ${image}@${digest}, or says so of any tag`,
  )
}

/**
 * Pushes the release of an image to where whoever deploys its digest finds it: over the one of an earlier run, or,
 * where the registry does not move tags, behind it.
 * @throws DeployError (1) when the registry does not have it afterwards
 */
export async function pushRelease(release: Release, shell: Shell): Promise<void> {
  const { image, digest } = release
  const layer = Buffer.from(JSON.stringify(release))
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: RELEASE_TYPE,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(EMPTY), size: EMPTY.length },
    layers: [
      {
        mediaType: RELEASE_TYPE,
        digest: digestOf(layer),
        size: layer.length,
        annotations: { 'org.opencontainers.image.title': 'release.json' },
      },
    ],
  }
  const content = Buffer.from(JSON.stringify(manifest))
  await pushBlob(image, EMPTY, shell)
  await pushBlob(image, layer, shell)
  let renewal = Math.max(1, await newest(image, digest, shell))
  const push = async () =>
    await pushManifest(besideOf(image, digest, renewal), { content, type: MANIFEST_TYPE }, shell)
  while ((await push()) !== digestOf(content)) renewal++
  if (isDeepStrictEqual(await findRelease(`${image}@${digest}`, shell), release)) return
  throw new DeployError(
    `${besideOf(image, digest, renewal)} is not what was pushed, so another push was at work: run it again`,
  )
}
