/** An image's name, taken apart by the rules of the docker command (distribution/reference, normalize.go). */
import { DeployError, Exit } from '../errors.ts'

export interface Reference {
  registry: string
  repository: string
  tag?: string
  digest?: string
}

export const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Where the images of `docker.io` are: at that name itself no registry answers. */
export const HUB = 'registry-1.docker.io'

/** `[registry/]repository[:tag][@digest]`. @throws DeployError (2) */
export function parseReference(text: string): Reference {
  const [named = '', digest, ...more] = text.split('@')
  const slash = named.indexOf('/')
  const first = slash > 0 ? named.slice(0, slash) : ''
  const hasRegistry = first === 'localhost' || /[.:]/.test(first)
  const rest = hasRegistry ? named.slice(slash + 1) : named
  const [path = '', tag, ...further] = rest.split(':')
  const onHub = !hasRegistry || /^(index\.)?docker\.io$/.test(first)
  const repository = onHub && !path.includes('/') ? `library/${path}` : path
  const wellFormed =
    more.length + further.length === 0 &&
    (!hasRegistry || /^[A-Za-z0-9.-]+(:\d{1,5})?$/.test(first)) &&
    repository.split('/').every((part) => /^[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*$/.test(part)) &&
    (tag === undefined || /^\w[\w.-]{0,127}$/.test(tag)) &&
    (digest === undefined || DIGEST.test(digest))
  if (!wellFormed) throw new DeployError(`"${text}" is not an image reference`, Exit.usage)
  const registry = onHub ? HUB : first
  return { registry, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) }
}
