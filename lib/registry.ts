/**
 * Which digest a tag stands for, asked of the registry itself (OCI distribution specification): what a local
 * Docker remembers is not what the cluster will pull.
 */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Shell } from './command.ts'
import { DeployError, Exit, sentence } from './errors.ts'
import { parseJson } from './json.ts'

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
  const response = await head(reference, shell)
  if (response.status === 404) return undefined
  if (!response.ok) throw new DeployError(`The registry answered ${response.status} for ${image}`)
  const digest = response.headers.get('docker-content-digest') ?? ''
  if (!DIGEST.test(digest)) throw new DeployError(`The registry names no digest for ${image}`)
  if (reference.digest && digest !== reference.digest) {
    throw new DeployError(`The registry answered with ${digest} for ${image}`)
  }
  return digest
}

async function head(reference: Reference, shell: Shell): Promise<Response> {
  const { registry, repository, tag, digest } = reference
  const scheme = /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(registry) ? 'http' : 'https'
  const url = `${scheme}://${registry}/v2/${repository}/manifests/${digest ?? tag ?? 'latest'}`
  const ask = (authorization?: string) =>
    fetch(url, {
      method: 'HEAD',
      headers: { accept: MANIFESTS, ...(authorization && { authorization }) },
      signal: AbortSignal.timeout(15_000),
    })
  try {
    const response = await ask()
    if (response.status !== 401) return response
    return await ask(
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
