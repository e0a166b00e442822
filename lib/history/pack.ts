/** The manifests of a release, as a record keeps them. Pure. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { z } from 'zod'
import { manifest, type Manifest } from '../cluster/objects.ts'

const packed = (manifests: readonly Manifest[]): Buffer => gzipSync(JSON.stringify(manifests))

export const pack = (manifests: readonly Manifest[]): string => packed(manifests).toString('base64')

export const unpack = (text: string): Manifest[] =>
  z.array(manifest).parse(JSON.parse(gunzipSync(Buffer.from(text, 'base64')).toString()))

/** A ConfigMap holds 1 MiB. An eighth of it is for the record itself, which grows with its steps and checks. */
const MOST = 896 * 1024

/** Why manifests cannot be kept: to be said while it is planned, before the API server does under the lock. Pure. */
export function tooLargeToKeep(manifests: readonly Manifest[]): string | undefined {
  const size = Math.ceil(packed(manifests).length / 1024)
  if (size * 1024 <= MOST) return undefined
  const [largest] = manifests
    .map(({ kind, metadata, ...rest }) => ({
      name: `${kind} ${metadata.name}`,
      bytes: JSON.stringify(rest).length,
    }))
    .toSorted((a, b) => b.bytes - a.bytes)
  return (
    `The manifests in painted/ pack to ${size} KiB, and a record, from which a rollback starts a release again, holds ${MOST / 1024} KiB. ` +
    `The largest is ${largest?.name} (${Math.ceil((largest?.bytes ?? 0) / 1024)} KiB): put large files into the image`
  )
}
