/**
 * Which digest a tag stands for and what an image says of itself, asked of the registry (OCI distribution
 * specification): what a local Docker remembers is not what the cluster will pull.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Shell } from '../command.ts'
import { DeployError, Exit, sentence } from '../errors.ts'
import { parseJson } from '../json.ts'

export interface Reference {
  registry: string
  repository: string
  tag?: string
  digest?: string
}

const DIGEST = /^sha256:[0-9a-f]{64}$/

/** `[registry/]repository[:tag][@digest]`, by the rules of the docker command. @throws DeployError (2) */
export function parseReference(text: string): Reference {
  const [named = '', digest, ...more] = text.split('@')
  const slash = named.indexOf('/')
  const first = slash > 0 ? named.slice(0, slash) : ''
  const hasRegistry = first === 'localhost' || /[.:]/.test(first)
  const rest = hasRegistry ? named.slice(slash + 1) : named
  const [path = '', tag, ...further] = rest.split(':')
  const repository = !hasRegistry && !path.includes('/') ? `library/${path}` : path
  const wellFormed =
    more.length + further.length === 0 &&
    (!hasRegistry || /^[A-Za-z0-9.-]+(:\d{1,5})?$/.test(first)) &&
    repository.split('/').every((part) => /^[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*$/.test(part)) &&
    (tag === undefined || /^\w[\w.-]{0,127}$/.test(tag)) &&
    (digest === undefined || DIGEST.test(digest))
  if (!wellFormed) throw new DeployError(`"${text}" is not an image reference`, Exit.usage)
  const registry = hasRegistry ? first : 'registry-1.docker.io'
  return { registry, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) }
}

const MANIFESTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

/** The image by digest, as the cluster will pull it. @throws DeployError (1) when the registry does not have it */
export async function resolveDigest(image: string, shell: Shell): Promise<string> {
  const name = image.replace(/@.*$/, '').replace(/:[^:/]*$/, '')
  const digest = await findDigest(image, shell)
  if (digest !== undefined) return `${name}@${digest}`
  throw new DeployError(`The registry has no image ${image}: build and push it first, or check --version`)
}

/** The digest that a name stands for, or undefined when the registry says that it has no such image. */
export async function findDigest(image: string, shell: Shell): Promise<string | undefined> {
  const reference = parseReference(image)
  const response = await ask(reference, 'HEAD', manifestOf(reference), shell)
  if (response.status === 404) return undefined
  if (!response.ok) throw new DeployError(`The registry answered ${response.status} for ${image}`)
  const digest = response.headers.get('docker-content-digest') ?? ''
  if (!DIGEST.test(digest)) throw new DeployError(`The registry names no digest for ${image}`)
  if (reference.digest && digest !== reference.digest) {
    throw new DeployError(`The registry answered with ${digest} for ${image}`)
  }
  return digest
}

const descriptor = z.object({ digest: z.string().regex(DIGEST) })

const forPlatform = descriptor.extend({ platform: z.object({ os: z.string() }).optional() })

const manifest = z.object({ config: descriptor.optional(), manifests: z.array(forPlatform).default([]) })

const config = z.object({
  config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
})

/**
 * A label of an image, in the configuration that its manifest names; of an index, that of its first platform.
 * @returns undefined when the registry says that it has no such image, or that the image has no such label
 * @throws DeployError (1) when the registry does not answer, or what it answers is not an image
 */
export async function findLabel(image: string, label: string, shell: Shell): Promise<string | undefined> {
  const reference = parseReference(image)
  const no = new DeployError(`What the registry ${reference.registry} has as ${image} is not an image`)
  const top = await read(reference, manifestOf(reference), shell)
  if (!top) return undefined
  const { data: listed } = manifest.safeParse(parseJson(top.toString()))
  // What belongs to no platform is an attestation.
  const first = listed?.manifests.find(({ platform }) => platform?.os !== 'unknown')?.digest
  const one = first === undefined ? top : await readByDigest(reference, 'manifests', first, shell)
  const configured = manifest.safeParse(parseJson(one?.toString() ?? '')).data?.config
  if (!configured) throw no
  const blob = await readByDigest(reference, 'blobs', configured.digest, shell)
  const { data } = config.safeParse(parseJson(blob?.toString() ?? ''))
  if (!data) throw no
  const labels = data.config?.Labels ?? {}
  return Object.hasOwn(labels, label) ? labels[label] : undefined
}

const manifestOf = ({ tag, digest }: Reference): string => `manifests/${digest ?? tag ?? 'latest'}`

async function readByDigest(
  reference: Reference,
  kind: 'manifests' | 'blobs',
  digest: string,
  shell: Shell,
): Promise<Buffer | undefined> {
  const content = await read(reference, `${kind}/${digest}`, shell)
  if (!content || `sha256:${createHash('sha256').update(content).digest('hex')}` === digest) return content
  throw new DeployError(`The registry ${reference.registry} answered with other content than ${digest}`)
}

/** Bytes. Manifests and configurations are a few kilobytes; whoever sends more is not listened to. */
const LONGEST = 2_000_000

/** What the registry has there, or undefined when it says that there is nothing. */
async function read(reference: Reference, path: string, shell: Shell): Promise<Buffer | undefined> {
  const { registry, repository } = reference
  const response = await ask(reference, 'GET', path, shell)
  if (response.status === 404) return undefined
  if (!response.ok)
    throw new DeployError(`The registry answered ${response.status} for ${repository}/${path}`)
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk)
      size += chunk.byteLength
      if (size > LONGEST) break
    }
  } catch (error) {
    throw new DeployError(`The registry ${registry} does not answer: ${sentence(error)}`)
  }
  if (size <= LONGEST) return Buffer.concat(chunks)
  throw new DeployError(`The registry ${registry} answers with too much for ${repository}/${path}`)
}

async function ask(
  { registry, repository }: Reference,
  method: 'HEAD' | 'GET',
  path: string,
  shell: Shell,
): Promise<Response> {
  const scheme = /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(registry) ? 'http' : 'https'
  const accept = path.startsWith('manifests/') ? MANIFESTS : '*/*'
  const send = (authorization?: string) =>
    fetch(`${scheme}://${registry}/v2/${repository}/${path}`, {
      method,
      headers: { accept, ...(authorization && { authorization }) },
      signal: AbortSignal.timeout(15_000),
    })
  try {
    const response = await send()
    if (response.status !== 401) return response
    return await send(
      await authorize(registry, repository, response.headers.get('www-authenticate') ?? '', shell),
    )
  } catch (error) {
    if (error instanceof DeployError) throw error
    throw new DeployError(`The registry ${registry} does not answer: ${sentence(error)}`)
  }
}

/** Docker's token flow: basic credentials, or what the realm gives for them (anonymously for public images). */
async function authorize(
  registry: string,
  repository: string,
  challenge: string,
  shell: Shell,
): Promise<string> {
  const login = await credentials(registry, shell)
  const basic = login && `Basic ${Buffer.from(login).toString('base64')}`
  const realm = /realm="([^"]+)"/.exec(challenge)?.[1]
  if (!/^bearer/i.test(challenge) || !realm) {
    if (basic) return basic
    throw new DeployError(`The registry ${registry} asks for a login: docker login ${registry}`)
  }
  const url = new URL(realm)
  const service = /service="([^"]+)"/.exec(challenge)?.[1]
  if (service) url.searchParams.set('service', service)
  url.searchParams.set('scope', `repository:${repository}:pull`)
  const response = await fetch(url, {
    ...(basic && { headers: { authorization: basic } }),
    signal: AbortSignal.timeout(15_000),
  })
  const answer = z
    .object({ token: z.string().optional(), access_token: z.string().optional() })
    .safeParse(parseJson(await response.text()))
  const token = answer.data?.token ?? answer.data?.access_token
  if (response.ok && token) return `Bearer ${token}`
  throw new DeployError(
    `The registry ${registry} refuses ${login ? 'the login' : 'anonymous access'} (${response.status}): docker login ${registry}`,
  )
}

const dockerConfig = z.object({
  auths: z.record(z.string(), z.object({ auth: z.string().optional() })).default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().optional(),
})

/** `user:password` as `docker login` stored it, in its file or in a credential helper. */
async function credentials(registry: string, shell: Shell): Promise<string | undefined> {
  const host = registry === 'registry-1.docker.io' ? 'https://index.docker.io/v1/' : registry
  const file = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json')
  const text = await readFile(file, 'utf8').catch(() => '{}')
  const { data: config } = dockerConfig.safeParse(parseJson(text))
  const helper = config?.credHelpers[host] ?? config?.credsStore
  if (helper) {
    const { stdout, exitCode } = await shell.read([`docker-credential-${helper}`, 'get'], { input: host })
    const login = z.object({ Username: z.string(), Secret: z.string() }).safeParse(parseJson(stdout))
    if (exitCode === 0 && login.success) return `${login.data.Username}:${login.data.Secret}`
  }
  const stored = config?.auths[host]?.auth
  return stored && Buffer.from(stored, 'base64').toString()
}
