/**
 * A small OCI distribution registry, in memory: https://github.com/opencontainers/distribution-spec.
 * Docker, skopeo and push.ts can push to it; the sandbox's kubelet pulls from it.
 */
import { listAt, stringAt } from './api/json.ts'
import { sha256 } from './node/images.ts'

const DIGEST = /^sha256:[0-9a-f]{64}$/

interface Manifest {
  type: string
  content: Uint8Array
}

interface Repository {
  manifests: Map<string, Manifest> // by digest
  tags: Map<string, string> // tag → digest
}

/** An error as the specification words it. */
class RegistryError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export interface RegistryServer {
  /** `127.0.0.1:PORT`, as it stands in an image's name. */
  address: string
  stop(): void
}

/** Serves an empty registry on 127.0.0.1; port 0 takes a free one. */
export function serveRegistry(port = 0): RegistryServer {
  const registry = new Registry()
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port,
    maxRequestBodySize: 4 * 2 ** 30, // somebody may push a real image
    fetch: (request) => registry.answer(request),
  })
  return { address: `127.0.0.1:${server.port}`, stop: () => void server.stop(true) }
}

class Registry {
  #blobs = new Map<string, Uint8Array>()
  #uploads = new Map<string, Uint8Array[]>()
  #repositories = new Map<string, Repository>()

  async answer(request: Request): Promise<Response> {
    try {
      const response = await this.#route(request)
      response.headers.set('Docker-Distribution-Api-Version', 'registry/2.0')
      return response
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      const { status, code, message } = error
      return Response.json({ errors: [{ code, message }] }, { status })
    }
  }

  async #route(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/v2/') return Response.json({})
    const [, name = '', kind = '', reference = ''] =
      /^\/v2\/([a-z0-9/._-]+?)\/(blobs\/uploads|blobs|manifests|tags)\/(.*)$/.exec(pathname) ?? []
    if (kind === 'blobs/uploads') return this.#upload(request, name, reference, searchParams.get('digest'))
    if (kind === 'blobs') return this.#blob(request, reference)
    if (kind === 'manifests') return this.#manifest(request, name, reference)
    if (kind === 'tags' && reference === 'list') return this.#tags(name, searchParams)
    throw new RegistryError(404, 'UNSUPPORTED', `there is no ${request.method} ${pathname} here`)
  }

  async #upload(request: Request, name: string, id: string, digest: string | null): Promise<Response> {
    const chunk = new Uint8Array(await request.arrayBuffer())
    if (request.method === 'POST' && !id) {
      if (digest) return this.#keep(name, chunk, digest)
      const started = crypto.randomUUID()
      this.#uploads.set(started, [])
      return progress(202, name, started, [])
    }
    const chunks = this.#uploads.get(id)
    if (!chunks) throw new RegistryError(404, 'BLOB_UPLOAD_UNKNOWN', `there is no upload ${id}`)
    if (request.method === 'GET') return progress(204, name, id, chunks)
    if (request.method === 'PATCH') {
      checkRange(request, chunks)
      chunks.push(chunk)
      return progress(202, name, id, chunks)
    }
    this.#uploads.delete(id)
    if (request.method === 'DELETE') return new Response(null, { status: 204 })
    if (request.method === 'PUT') return this.#keep(name, Buffer.concat([...chunks, chunk]), digest ?? '')
    throw notAllowed(request)
  }

  #keep(name: string, content: Uint8Array, digest: string): Response {
    const actual = digestOf(content)
    if (digest !== actual) throw new RegistryError(400, 'DIGEST_INVALID', `the content is ${actual}`)
    this.#blobs.set(digest, content)
    return stored(`/v2/${name}/blobs/${digest}`, digest)
  }

  #blob(request: Request, digest: string): Response {
    const content = this.#blobs.get(digest)
    if (!content) throw new RegistryError(404, 'BLOB_UNKNOWN', `blob ${digest} is not known`)
    if (request.method === 'DELETE') {
      this.#blobs.delete(digest)
      return new Response(null, { status: 202 })
    }
    return served(request, { type: 'application/octet-stream', content }, digest)
  }

  async #manifest(request: Request, name: string, reference: string): Promise<Response> {
    if (request.method === 'PUT') return this.#putManifest(request, name, reference)
    const repository = this.#repositories.get(name)
    const digest = DIGEST.test(reference) ? reference : repository?.tags.get(reference)
    const manifest = repository?.manifests.get(digest ?? '')
    if (!repository || !digest || !manifest) {
      throw new RegistryError(404, 'MANIFEST_UNKNOWN', `manifest ${name}:${reference} is not known`)
    }
    if (request.method !== 'DELETE') return served(request, manifest, digest)
    if (digest === reference) {
      repository.manifests.delete(digest)
      for (const [tag, target] of repository.tags) if (target === digest) repository.tags.delete(tag)
    } else repository.tags.delete(reference)
    return new Response(null, { status: 202 })
  }

  async #putManifest(request: Request, name: string, reference: string): Promise<Response> {
    const content = new Uint8Array(await request.arrayBuffer())
    const digest = digestOf(content)
    if (DIGEST.test(reference) && reference !== digest) {
      throw new RegistryError(400, 'DIGEST_INVALID', `the content is ${digest}`)
    }
    for (const blob of blobsOf(content)) {
      if (this.#blobs.has(blob)) continue
      throw new RegistryError(404, 'MANIFEST_BLOB_UNKNOWN', `blob ${blob} is not known`)
    }
    const repository = this.#repositories.get(name) ?? { manifests: new Map(), tags: new Map() }
    this.#repositories.set(name, repository)
    const type = request.headers.get('Content-Type') ?? 'application/vnd.oci.image.manifest.v1+json'
    repository.manifests.set(digest, { type, content })
    if (!DIGEST.test(reference)) repository.tags.set(reference, digest)
    return stored(`/v2/${name}/manifests/${digest}`, digest)
  }

  #tags(name: string, query: URLSearchParams): Response {
    const repository = this.#repositories.get(name)
    if (!repository) throw new RegistryError(404, 'NAME_UNKNOWN', `repository ${name} is not known`)
    const last = query.get('last') ?? ''
    const after = [...repository.tags.keys()].toSorted().filter((tag) => tag > last)
    return Response.json({ name, tags: after.slice(0, Number(query.get('n') ?? after.length)) })
  }
}

function digestOf(content: Uint8Array): string {
  return `sha256:${sha256(content)}`
}

/** What a manifest refers to within its repository; an index refers to manifests, which are not blobs. */
function blobsOf(content: Uint8Array): string[] {
  let manifest: unknown
  try {
    manifest = JSON.parse(new TextDecoder().decode(content))
  } catch {
    throw new RegistryError(400, 'MANIFEST_INVALID', 'the manifest is not JSON')
  }
  const layers = listAt(manifest, 'layers').map((layer) => stringAt(layer, 'digest'))
  return [stringAt(manifest, 'config', 'digest'), ...layers].filter(Boolean)
}

function checkRange(request: Request, chunks: Uint8Array[]): void {
  const range = request.headers.get('Content-Range')
  const start = Number(range?.split('-')[0] ?? sizeOf(chunks))
  if (start === sizeOf(chunks)) return
  throw new RegistryError(416, 'BLOB_UPLOAD_INVALID', `the next byte is ${sizeOf(chunks)}`)
}

function sizeOf(chunks: Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
}

function progress(status: number, name: string, id: string, chunks: Uint8Array[]): Response {
  const headers = {
    Location: `/v2/${name}/blobs/uploads/${id}`,
    'Docker-Upload-UUID': id,
    Range: `0-${Math.max(0, sizeOf(chunks) - 1)}`,
  }
  return new Response(null, { status, headers })
}

function stored(location: string, digest: string): Response {
  const headers = { Location: location, 'Docker-Content-Digest': digest }
  return new Response(null, { status: 201, headers })
}

function served(request: Request, { type, content }: Manifest, digest: string): Response {
  if (!['GET', 'HEAD'].includes(request.method)) throw notAllowed(request)
  const headers = {
    'Content-Type': type,
    'Content-Length': String(content.byteLength),
    'Docker-Content-Digest': digest,
  }
  return new Response(request.method === 'HEAD' ? null : content, { headers })
}

function notAllowed({ method }: Request): RegistryError {
  return new RegistryError(405, 'UNSUPPORTED', `${method} is not allowed here`)
}
