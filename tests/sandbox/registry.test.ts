/** The registry, request by request as the distribution specification has them. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { sha256 } from '../../sandbox/node/images.ts'
import { pushImage } from '../../sandbox/push.ts'
import type { RegistryServer } from '../../sandbox/registry.ts'
import { serveRegistry } from '../../sandbox/registry.ts'

let registry: RegistryServer
let base: string

beforeAll(() => {
  registry = serveRegistry()
  base = `http://${registry.address}/v2`
})
afterAll(() => registry.stop())

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const digestOf = (content: string) => `sha256:${sha256(content)}`
const errorCode = async (response: Response) =>
  ((await response.json()) as { errors: { code: string }[] }).errors[0]?.code

async function putBlob(name: string, content: string): Promise<string> {
  const digest = digestOf(content)
  const response = await fetch(`${base}/${name}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: content,
  })
  expect(response.status).toBe(201)
  return digest
}

test('the version check', async () => {
  const response = await fetch(`${base}/`)
  expect(response.status).toBe(200)
  expect(response.headers.get('Docker-Distribution-Api-Version')).toBe('registry/2.0')
})

const put = (name: string, reference: string, body: string) =>
  fetch(`${base}/${name}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'Content-Type': MANIFEST },
    body,
  })

const push = async (...args: string[]) => {
  const child = Bun.spawn(['bun', 'sandbox/push.ts', ...args], { stdout: 'pipe', stderr: 'pipe' })
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { exitCode: await child.exited, stdout, stderr }
}

describe('blobs', () => {
  test('POST then PUT', async () => {
    const started = await fetch(`${base}/team/app/blobs/uploads/`, { method: 'POST' })
    expect(started.status).toBe(202)
    const location = new URL(started.headers.get('Location') ?? '', base)
    location.searchParams.set('digest', digestOf('hello'))
    const stored = await fetch(location, { method: 'PUT', body: 'hello' })
    expect(stored.status).toBe(201)
    expect(stored.headers.get('Docker-Content-Digest')).toBe(digestOf('hello'))
    const got = await fetch(new URL(stored.headers.get('Location') ?? '', base))
    expect(await got.text()).toBe('hello')
  })

  test('in chunks, each after the other', async () => {
    const started = await fetch(`${base}/app/blobs/uploads/`, { method: 'POST' })
    const upload = new URL(started.headers.get('Location') ?? '', base)
    const chunk = (range: string, body: string) =>
      fetch(upload, { method: 'PATCH', headers: { 'Content-Range': range }, body })
    expect((await chunk('0-2', 'abc')).headers.get('Range')).toBe('0-2')
    expect((await chunk('5-6', 'xx')).status).toBe(416)
    expect((await chunk('3-5', 'def')).status).toBe(202)
    const progress = await fetch(upload)
    expect([progress.status, progress.headers.get('Range')]).toEqual([204, '0-5'])
    upload.searchParams.set('digest', digestOf('abcdef'))
    expect((await fetch(upload, { method: 'PUT' })).status).toBe(201)
    expect((await fetch(upload, { method: 'PUT' })).status).toBe(404)
  })

  test('a wrong digest is refused', async () => {
    const url = `${base}/app/blobs/uploads/?digest=${digestOf('other')}`
    const response = await fetch(url, { method: 'POST', body: 'content' })
    expect([response.status, await errorCode(response)]).toEqual([400, 'DIGEST_INVALID'])
    expect((await fetch(`${base}/app/blobs/${digestOf('other')}`)).status).toBe(404)
  })

  test('HEAD tells the size', async () => {
    const digest = await putBlob('app', 'four')
    const response = await fetch(`${base}/app/blobs/${digest}`, { method: 'HEAD' })
    expect(response.headers.get('Content-Length')).toBe('4')
    expect(await response.text()).toBe('')
  })
})

describe('manifests', () => {
  test('by tag and by digest, moved and deleted', async () => {
    const config = await putBlob('moves', '{}')
    const manifest = (note: string) =>
      JSON.stringify({ schemaVersion: 2, note, config: { digest: config }, layers: [] })
    const stored = await put('moves', 'v1', manifest('first'))
    expect(stored.status).toBe(201)
    const first = stored.headers.get('Docker-Content-Digest')
    expect(first).toBe(digestOf(manifest('first')))
    await put('moves', 'v1', manifest('second'))
    await put('moves', 'v2', manifest('second'))

    const head = await fetch(`${base}/moves/manifests/v1`, { method: 'HEAD' })
    expect(head.headers.get('Docker-Content-Digest')).toBe(digestOf(manifest('second')))
    expect(head.headers.get('Content-Type')).toBe(MANIFEST)
    expect(await (await fetch(`${base}/moves/manifests/${first}`)).text()).toBe(manifest('first'))
    expect(await (await fetch(`${base}/moves/tags/list`)).json()).toEqual({
      name: 'moves',
      tags: ['v1', 'v2'],
    })
    expect(await (await fetch(`${base}/moves/tags/list?n=1`)).json()).toEqual({ name: 'moves', tags: ['v1'] })

    const second = digestOf(manifest('second'))
    expect((await fetch(`${base}/moves/manifests/${second}`, { method: 'DELETE' })).status).toBe(202)
    const gone = await fetch(`${base}/moves/manifests/v2`)
    expect([gone.status, await errorCode(gone)]).toEqual([404, 'MANIFEST_UNKNOWN'])
    expect(await (await fetch(`${base}/moves/tags/list`)).json()).toEqual({ name: 'moves', tags: [] })
  })

  test.each([
    ['not JSON', 'v1', 'nonsense', 400, 'MANIFEST_INVALID'],
    ['of a missing blob', 'v1', `{"config":{"digest":"${digestOf('?')}"}}`, 404, 'MANIFEST_BLOB_UNKNOWN'],
    ['under a digest that is not its own', digestOf('?'), '{}', 400, 'DIGEST_INVALID'],
  ])('%s is refused', async (_name, reference, body, status, code) => {
    const response = await put('refused', reference, body)
    expect([response.status, await errorCode(response)]).toEqual([status, code])
  })

  test('an unknown repository has no tags', async () => {
    const response = await fetch(`${base}/nobody/tags/list`)
    expect([response.status, await errorCode(response)]).toEqual([404, 'NAME_UNKNOWN'])
  })
})

describe('push.ts', () => {
  test('the same image has the same digest, which is that of its manifest', async () => {
    const image = `${registry.address}/pushed:1`
    const args = [image, '--env', 'A=b=c', '--label', 'l=m', '--path', '/app=/srv/app', '--workdir', '/app']
    const { stdout } = await push(...args, '--', 'bun', '/app/server.js')
    const [, digest = ''] = stdout.trim().split('@')
    const manifest = await (await fetch(`${base}/pushed/manifests/1`)).text()
    expect(stdout.trim()).toBe(`${registry.address}/pushed@${digestOf(manifest)}`)
    const { config } = JSON.parse(manifest) as { config: { digest: string } }
    expect(await (await fetch(`${base}/pushed/blobs/${config.digest}`)).json()).toMatchObject({
      os: 'linux',
      config: {
        Entrypoint: ['bun', '/app/server.js'],
        Env: ['A=b=c'],
        WorkingDir: '/app',
        Labels: { l: 'm', 'sandbox.path:/app': '/srv/app' },
      },
    })
    const labels = { l: 'm', 'sandbox.path:/app': '/srv/app' }
    const config2 = { entrypoint: ['bun', '/app/server.js'], env: ['A=b=c'], labels, workingDir: '/app' }
    expect(await pushImage(`${registry.address}/pushed:2`, config2)).toEndWith(digest)
  })

  test.each([
    [['--help'], 0, ''],
    [[], 2, 'push: an image and, after --, a command are needed'],
    [['127.0.0.1:1/app'], 2, 'push: an image and, after --, a command are needed'],
    [['--nonsense'], 2, "push: Unknown option '--nonsense'"],
    [['127.0.0.1:1/app', '--env', 'A', '--', 'x'], 2, 'push: --env A: expected NAME=VALUE'],
    [['127.0.0.1:1/app', '--', 'x'], 1, 'push: '],
  ])('%j exits %i', async (args, exitCode, message) => {
    const result = await push(...args)
    expect(result.exitCode).toBe(exitCode)
    expect(result.stderr).toStartWith(message)
  })
})
