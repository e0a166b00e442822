/** The gate against nginx, as it comes and hardened. Where nginx is not installed, these tests are skipped. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { objections } from '../../lib/check.ts'
import { certificate } from './security/certificates.ts'
import { hardened, nginx, startNginx } from './security/nginx.ts'
import { bare, check, named } from './security/settings.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'security-nginx-'))
  await mkdir(join(folder, 'static'), { recursive: true })
  await mkdir(join(folder, '.git'))
  await Bun.write(join(folder, 'index.html'), '<!doctype html><title>nginx</title>')
  await Bun.write(join(folder, 'error.txt'), 'no')
  await Bun.write(join(folder, '.git/HEAD'), 'ref: refs/heads/main\n')
})
afterAll(() => rm(folder, { recursive: true }))

describe.skipIf(nginx === null)('nginx', () => {
  test('as it comes, with a listing, a status page and a repository: the findings are these', async () => {
    await using server = await startNginx(
      folder,
      'listen 127.0.0.1:PORT; location /static/ { autoindex on; } location = /nginx_status { stub_status; }',
    )
    const { findings } = await check(`http://127.0.0.1:${server.port}`, bare)
    const seen = findings.map(({ id, severity, path }) =>
      `${id} ${severity} ${path}`.replace(/zx[0-9a-f]{8}/, ':canary'),
    )
    const [page, error] = ['/', '/deploy-check-:canary']
    // Written down before the gate was run.
    const known = [page, error].flatMap((path) => [
      `content-security-policy high ${path}`,
      `framing medium ${path}`,
      `content-type low ${path}`,
      `content-type-options medium ${path}`,
      `referrer-policy low ${path}`,
      `permissions-policy low ${path}`,
      `cross-origin-opener-policy low ${path}`,
      `cross-origin-resource-policy low ${path}`,
      `software-disclosure low ${path}`,
    ])
    expect(seen.toSorted()).toEqual(
      [
        ...known,
        'exposed-files critical /.git/HEAD',
        'exposed-internals low /nginx_status',
        'directory-listing medium /static/',
        `error-disclosure low ${error}`,
        'error-disclosure low /%zz%c0%ae',
      ].toSorted(),
    )
  })

  test('hardened, over TLS, with plain http led to https: nothing', async () => {
    const pair = await certificate(365, 'IP:127.0.0.1')
    await Bun.write(join(folder, 'tls.crt'), pair.cert)
    await Bun.write(join(folder, 'tls.key'), pair.key)
    await using server = await startNginx(
      folder,
      `listen 127.0.0.1:PORT ssl; ssl_certificate FOLDER/tls.crt; ssl_certificate_key FOLDER/tls.key;
       ssl_protocols TLSv1.2 TLSv1.3; location ~ /\\. { return 404; } ${hardened}`,
    )
    await using plain = await startNginx(
      folder,
      `listen 127.0.0.1:PORT; return 308 https://127.0.0.1:${server.port}$request_uri;`,
    )
    const world = { ca: pair.cert, plainPort: plain.port }
    const { findings, results } = await check(`https://127.0.0.1:${server.port}`, bare, { world })
    expect(findings).toEqual([])
    expect(objections(results)).toEqual([])
    expect(named(results, 'passed')).toEqual(
      expect.arrayContaining(['certificate', 'tls-version', 'https-redirect', 'hsts']),
    )
  })
})
