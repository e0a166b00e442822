/**
 * What a registry has and is given, by the OCI distribution specification: what a local Docker remembers is not
 * what the cluster will pull.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { seconds, systemClock } from '../clock.ts'
import type { Shell } from '../command.ts'
import { DeployError, sentence } from '../errors.ts'
import { parseJson } from '../json.ts'
import { DIGEST, parseReference, type Reference } from './reference.ts'
import { storedLogin, type Login } from './stored-login.ts'

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

/**
 * With what rights is asked. Of a repository that only a push will make, some registries (Docker's hub) tell whoever
 * may only read nothing: they refuse.
 */
export interface Access {
  push?: boolean
}

/** The digest that a name stands for, or undefined when the registry says that it has no such image. */
export async function findDigest(
  image: string,
  shell: Shell,
  access: Access = {},
): Promise<string | undefined> {
  const reference = parseReference(image)
  const response = await ask(reference, manifestOf(reference), shell, { method: 'HEAD', ...access })
  // An answer without a body does not say whether it is a registry that has no such image.
  if (response.status === 404) return (await readManifest(image, shell, access))?.digest
  if (!response.ok) throw new DeployError(`The registry answered ${response.status} for ${image}`)
  const digest = response.headers.get('docker-content-digest') ?? ''
  if (!DIGEST.test(digest)) throw new DeployError(`The registry names no digest for ${image}`)
  if (reference.digest && digest !== reference.digest) {
    throw new DeployError(`The registry answered with ${digest} for ${image}`)
  }
  return digest
}

export interface Manifest {
  content: Buffer
  digest: string
  type: string
}

/** @returns undefined when the registry says that it has no such image */
export async function readManifest(
  image: string,
  shell: Shell,
  access: Access = {},
): Promise<Manifest | undefined> {
  const reference = parseReference(image)
  const found = await read(reference, manifestOf(reference), shell, access)
  if (!found) return undefined
  const manifest = { ...found, digest: digestOf(found.content) }
  if (reference.digest === undefined || manifest.digest === reference.digest) return manifest
  throw new DeployError(
    `The registry ${reference.registry} answered with other content than ${reference.digest}`,
  )
}

/** Content of an image's repository, such as a layer. @throws DeployError (1) unless it is what its digest says */
export async function readBlob(image: string, digest: string, shell: Shell): Promise<Buffer> {
  const reference = parseReference(image)
  const { content } = (await read(reference, `blobs/${digest}`, shell)) ?? {}
  if (content && digestOf(content) === digest) return content
  const what = content ? `answered with other content than ${digest}` : `has no ${digest}, which it names`
  throw new DeployError(`The registry ${reference.registry} ${what}`)
}

const descriptor = z.object({ digest: z.string().regex(DIGEST) })

const forPlatform = descriptor.extend({ platform: z.object({ os: z.string() }).optional() })

const image = z.object({ config: descriptor.optional(), manifests: z.array(forPlatform).default([]) })

const config = z.object({
  config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
})

/**
 * The labels of an image, in the configuration that its manifest names; of an index, those of its first platform.
 * @returns undefined when the registry says that it has no such image
 * @throws DeployError (1) when the registry does not answer, or what it answers is not an image
 */
export async function findLabels(
  name: string,
  shell: Shell,
  access: Access = {},
): Promise<{ digest: string; labels: Record<string, string> } | undefined> {
  const [bare = ''] = name.split('@')
  const no = new DeployError(
    `What the registry ${parseReference(name).registry} has as ${name} is not an image`,
  )
  const top = await readManifest(name, shell, access)
  if (!top) return undefined
  const { data: listed } = image.safeParse(parseJson(top.content.toString()))
  // What belongs to no platform is an attestation.
  const first = listed?.manifests.find(({ platform }) => platform?.os !== 'unknown')?.digest
  const one = first === undefined ? top : await readManifest(`${bare}@${first}`, shell)
  const configured = image.safeParse(parseJson(one?.content.toString() ?? '')).data?.config
  if (!configured) throw no
  const { data } = config.safeParse(parseJson((await readBlob(name, configured.digest, shell)).toString()))
  if (!data) throw no
  return { digest: top.digest, labels: data.config?.Labels ?? {} }
}

/** Puts content where a manifest may name it, unless it is there. @throws DeployError (1) */
export async function pushBlob(image: string, content: Buffer, shell: Shell): Promise<void> {
  const reference = parseReference(image)
  const digest = digestOf(content)
  const write = { push: true }
  const there = await ask(reference, `blobs/${digest}`, shell, { ...write, method: 'HEAD' })
  if (there.ok) return
  const begun = await ask(reference, 'blobs/uploads/', shell, { ...write, method: 'POST' })
  const location = begun.headers.get('location')
  if (begun.status !== 202 || !location) throw await refusal(`an upload to ${reference.repository}`, begun)
  const url = new URL(location, begun.url)
  url.searchParams.set('digest', digest)
  const headers = { 'content-type': 'application/octet-stream' }
  const put = await ask(reference, url, shell, { ...write, method: 'PUT', headers, body: content })
  if (!put.ok) throw await refusal(`a blob of ${reference.repository}`, put)
}

/** What registries answer where a tag may not be moved: ECR 400, ACR 405 or 409, Harbor 412. */
const IMMUTABLE = [400, 405, 409, 412]

/**
 * Gives a manifest a tag.
 * @returns what the tag stands for now: another digest where the registry does not move it
 * @throws DeployError (1) when it is refused for another reason
 */
export async function pushManifest(
  image: string,
  { content, type }: Pick<Manifest, 'content' | 'type'>,
  shell: Shell,
): Promise<string> {
  const reference = parseReference(image)
  const headers = { 'content-type': type }
  const put = { method: 'PUT', headers, body: content, push: true } as const
  const response = await ask(reference, manifestOf(reference), shell, put)
  if (response.ok) return digestOf(content)
  const there = IMMUTABLE.includes(response.status) ? await findDigest(image, shell) : undefined
  if (there !== undefined) return there
  throw await refusal(image, response)
}

async function refusal(what: string, response: Response): Promise<DeployError> {
  const code = registryError(await response.text().catch(() => ''))
  return new DeployError(`The registry does not take ${what}: ${response.status} ${code ?? ''}`.trim())
}

export const digestOf = (content: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`

const manifestOf = ({ tag, digest }: Reference): string => `manifests/${digest ?? tag ?? 'latest'}`

/** Bytes. Manifests and configurations are a few kilobytes; whoever sends more is not listened to. */
const LONGEST = 2_000_000

const failed = z.object({ errors: z.array(z.object({ code: z.string().regex(/^[A-Z_]{1,40}$/) })).min(1) })

/** The first code of a registry's answer that it does not do something; undefined where it is no such answer. */
const registryError = (text: string): string | undefined =>
  failed.safeParse(parseJson(text)).data?.errors[0]?.code

/** What the registry has there, or undefined when it says that there is nothing. */
async function read(
  reference: Reference,
  path: string,
  shell: Shell,
  access: Access = {},
): Promise<{ content: Buffer; type: string } | undefined> {
  const { registry, repository } = reference
  const response = await ask(reference, path, shell, access)
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
  if (size > LONGEST)
    throw new DeployError(`The registry ${registry} answers with too much for ${repository}/${path}`)
  const content = Buffer.concat(chunks)
  if (response.ok) return { content, type: response.headers.get('content-type') ?? '' }
  const { status } = response
  if (status !== 404) throw new DeployError(`The registry answered ${status} for ${repository}/${path}`)
  if (registryError(content.toString()) !== undefined) return undefined
  throw new DeployError(`${registry} answers 404 for ${repository}/${path}, and not as a registry does`)
}

interface Asked extends Access {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT'
  headers?: Record<string, string>
  body?: Buffer
}

async function ask(
  reference: Reference,
  path: string | URL,
  shell: Shell,
  { method = 'GET', headers = {}, body, push = false }: Asked = {},
): Promise<Response> {
  const { registry, repository } = reference
  const scheme = /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(registry) ? 'http' : 'https'
  const base = `${scheme}://${registry}`
  const url = path instanceof URL ? path : new URL(`${base}/v2/${repository}/${path}`)
  const accept = url.pathname.includes('/manifests/') ? MANIFESTS : '*/*'
  const send = (authorization?: string) =>
    patiently(url, {
      method,
      headers: { accept, ...headers, ...(authorization && { authorization }) },
      ...(body && { body }),
    })
  try {
    const response = await send()
    // Storage elsewhere has its own leave in the address.
    if (response.status !== 401 || url.origin !== new URL(base).origin) return response
    const challenge = response.headers.get('www-authenticate') ?? ''
    return await send(await authorize(reference, challenge, push, shell))
  } catch (error) {
    if (error instanceof DeployError) throw error
    throw new DeployError(`The registry ${registry} does not answer: ${sentence(error)}`)
  }
}

/** ms; who is told to wait longer is told so, and asks again another time. */
const LONGEST_WAIT = 30_000

/** Asks again where the registry has too much to do (429, 503), when it says; without a word after 1, 2 and 4 s. */
async function patiently(url: URL, request: RequestInit): Promise<Response> {
  for (let pause = 1000; ; pause *= 2) {
    const response = await fetch(url, { ...request, signal: AbortSignal.timeout(15_000) })
    if ((response.status !== 429 && response.status !== 503) || pause > 4000) return response
    const wait = retryAfter(response.headers.get('retry-after')) ?? pause
    if (wait > LONGEST_WAIT)
      throw new DeployError(
        `The registry ${url.host} answers ${response.status}: ask again in ${seconds(wait)}`,
      )
    await response.body?.cancel()
    await systemClock.sleep(wait)
  }
}

/** ms, of seconds or a date (RFC 9110, 10.2.3). */
function retryAfter(text: string | null): number | undefined {
  const ms = text && /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text ?? '') - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

/** Docker's token flow: basic credentials, or what the realm gives for them (anonymously for public images). */
async function authorize(
  { registry, repository }: Reference,
  challenge: string,
  push: boolean,
  shell: Shell,
): Promise<string> {
  const login = await storedLogin(registry, shell)
  const realm = /realm="([^"]+)"/.exec(challenge)?.[1]
  if (!/^bearer/i.test(challenge) || !realm) {
    if (login && 'basic' in login) return basic(login)
    throw new DeployError(`The registry ${registry} asks for a login: docker login ${registry}`)
  }
  const service = /service="([^"]+)"/.exec(challenge)?.[1]
  const scope = `repository:${repository}:pull${push ? ',push' : ''}`
  const response = await askRealm(new URL(realm), { ...(service && { service }), scope }, login)
  const answer = z
    .object({ token: z.string().optional(), access_token: z.string().optional() })
    .safeParse(parseJson(await response.text()))
  const token = answer.data?.token || answer.data?.access_token
  if (response.ok && token) return `Bearer ${token}`
  throw new DeployError(
    `The registry ${registry} refuses ${login ? 'the login' : 'anonymous access'} (${response.status}): docker login ${registry}`,
  )
}

/** An identity token is a refresh token of OAuth 2 (distribution's spec/auth/oauth.md); a password is not. */
async function askRealm(
  realm: URL,
  wanted: Record<string, string>,
  login: Login | undefined,
): Promise<Response> {
  if (login && 'identityToken' in login) {
    const grant = { grant_type: 'refresh_token', refresh_token: login.identityToken }
    const body = new URLSearchParams({ ...grant, client_id: 'deploy-scripts', ...wanted })
    return await patiently(realm, { method: 'POST', body })
  }
  for (const [name, value] of Object.entries(wanted)) realm.searchParams.set(name, value)
  return await patiently(realm, login ? { headers: { authorization: basic(login) } } : {})
}

const basic = (login: { basic: string }): string => `Basic ${Buffer.from(login.basic).toString('base64')}`
