/**
 * The registry that Docker's own is made of (Debian: docker-registry), where this machine has it, with its token
 * authentication: a token service of our own signs for one login and for one refresh token.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createSign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shell } from '../../../lib/command.ts'
import { findRelease, pushRelease } from '../../../lib/image/beside.ts'
import { findDigest, findLabels, pushManifest, readManifest } from '../../../lib/image/registry.ts'
import { digest } from '../objects.ts'
import { failure } from '../world.ts'

const HERE = ['docker-registry', 'openssl'].every((name) => Bun.which(name))

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe.skipIf(!HERE)('a real registry with tokens', () => {
  const folder = mkdtempSync(join(tmpdir(), 'real-registry-test-'))
  const before = process.env.DOCKER_CONFIG
  const silent = shell(() => {})
  const key = join(folder, 'key.pem')
  const certificate = join(folder, 'certificate.pem')
  let server: Bun.Server<undefined>
  let child: Bun.Subprocess
  let host = ''

  /** What distribution's spec/auth/jwt.md says. */
  function token(service: string, scope: string): string {
    const [type, name, actions = ''] = scope.split(':')
    const now = Math.floor(Date.now() / 1000)
    const x5c = [readFileSync(certificate, 'utf8').replace(/-----[A-Z ]+-----|\s/g, '')]
    const claims = {
      iss: 'test',
      sub: 'me',
      aud: service,
      iat: now,
      nbf: now - 10,
      exp: now + 60,
      jti: crypto.randomUUID(),
      access: [{ type, name, actions: actions.split(',') }],
    }
    const signed = `${base64url({ typ: 'JWT', alg: 'RS256', x5c })}.${base64url(claims)}`
    return `${signed}.${createSign('sha256').update(signed).sign(readFileSync(key, 'utf8')).toString('base64url')}`
  }

  async function answer(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text())
    const asked = request.method === 'POST' ? form : new URL(request.url).searchParams
    const right =
      form.get('refresh_token') === 'REFRESH' ||
      request.headers.get('authorization') === `Basic ${btoa('me:secret')}`
    if (!right) return Response.json({ errors: [{ code: 'UNAUTHORIZED' }] }, { status: 401 })
    const name = request.method === 'POST' ? 'access_token' : 'token'
    return Response.json({ [name]: token(asked.get('service') ?? '', asked.get('scope') ?? '') })
  }

  const login = (auth: object): void =>
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { [`http://${host}/`]: auth } }))

  beforeAll(async () => {
    process.env.DOCKER_CONFIG = folder
    const made = Bun.spawnSync([
      ...'openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 1'.split(' '),
      '-keyout',
      key,
      '-out',
      certificate,
    ])
    expect(made.exitCode).toBe(0)
    server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: answer })
    const free = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
    host = `127.0.0.1:${free.port}`
    await free.stop(true)
    const realm = `${server.url.href}token`
    const config = {
      version: '0.1',
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      http: { addr: host },
      auth: { token: { realm, service: 'registry', issuer: 'test', rootcertbundle: certificate } },
    }
    writeFileSync(join(folder, 'registry.yml'), JSON.stringify(config))
    const command = ['docker-registry', 'serve', join(folder, 'registry.yml')]
    child = Bun.spawn(command, { stdio: ['ignore', 'ignore', 'ignore'] })
    const up = async () =>
      await fetch(`http://${host}/v2/`).then(
        ({ status }) => status === 401,
        () => false,
      )
    while (!(await up())) await Bun.sleep(20)
  }, 60_000)

  afterAll(async () => {
    child.kill()
    await Promise.all([child.exited, server.stop(true)])
    if (before === undefined) delete process.env.DOCKER_CONFIG
    else process.env.DOCKER_CONFIG = before
    rmSync(folder, { recursive: true })
  })

  test.each<[string, object]>([
    ['password', { auth: btoa('me:secret') }],
    ['identity token', { auth: btoa('0:'), identitytoken: 'REFRESH' }],
  ])('takes a proof, gives it back, and gives it another name: %s', async (name, auth) => {
    login(auth)
    const image = `${host}/team/${name.replace(' ', '-')}`
    const release = {
      image,
      digest: digest('a'),
      tags: ['1.2.3'],
      version: '1.2.3',
      commit: 'c'.repeat(40),
      builtAt: '2026-11-23T08:00:00.000Z',
      sbom: { file: 'x', sha256: 'a'.repeat(64), bytes: 1 },
      stages: {},
    }
    expect(await findRelease(`${image}@${release.digest}`, silent)).toBeUndefined()
    expect(await findLabels(`${image}:1.2.3`, silent)).toBeUndefined()
    for (const version of ['1.2.3', '1.2.4']) {
      await pushRelease({ ...release, version }, silent)
      expect(await findRelease(`${image}@${release.digest}`, silent)).toEqual({ ...release, version })
    }
    const kept = await readManifest(`${image}:${release.digest.replace(':', '-')}.release`, silent)
    if (!kept) throw new Error('it is there')
    expect(await pushManifest(`${image}:another`, kept, silent)).toBe(kept.digest)
    expect(await findDigest(`${image}:another`, silent)).toBe(kept.digest)
  })

  test('refuses another login', async () => {
    login({ auth: btoa('me:wrong') })
    expect((await failure(findDigest(`${host}/team/chat:1`, silent)))?.message).toContain(
      'refuses the login (401): docker login',
    )
  })
})
