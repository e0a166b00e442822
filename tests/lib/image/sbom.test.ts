import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { billOfMaterials, purl, readLockfile, readLockfiles, writeBill } from '../../../lib/image/sbom.ts'
import { hostile } from '../hostile.ts'
import { digest } from '../objects.ts'
import { failure } from '../world.ts'

const folder = mkdtempSync(join(tmpdir(), 'sbom-test-'))
afterAll(() => rmSync(folder, { recursive: true }))
const names = (file: string, content: unknown) =>
  readLockfile(file, typeof content === 'string' ? content : JSON.stringify(content)).map(
    ({ name, version }) => `${name}@${version}`,
  )

describe('bun.lock', () => {
  /** As Bun writes it: comments never, commas at ends always. */
  const lock = `{
    "lockfileVersion": 2, "configVersion": 1,
    "workspaces": {
      "": { "name": "app", "dependencies": { "a": "1", "@s/b": "^2", }, "devDependencies": { "tool": "1" }, },
      "packages/web": { "name": "web", "dependencies": { "c": "2" }, "optionalDependencies": { "absent": "1" } },
    },
    "packages": {
      "a": ["a@1.0.0", "", { "dependencies": { "c": "1" }, "optionalPeers": ["p"], "peerDependencies": { "p": "*" } }, "sha512-AAAA"],
      "a/c": ["c@1.5.0", "", { "dependencies": { "a": "1" } }, "sha512-BBBB"],
      "c": ["c@2.0.0", "", {}, "sha512-CCCC"],
      "@s/b": ["@s/b@2.1.0", "", { "dependencies": { "@s/d": "1", "e": "1" } }, "sha512-DDDD"],
      "@s/b/@s/d": ["@s/d@1.0.0", "", {}, "sha512-EEEE"],
      "@s/b/e": ["e@3.0.0", "", {}, "sha512-FFFF"],
      "e": ["e@4.0.0", "", {}, "sha512-GGGG"],
      "tool": ["tool@1.0.0", "", { "dependencies": { "e": "4" } }, "sha512-HHHH"],
      "web": ["web@workspace:packages/web"],
    },
  }`

  test('what production needs, nested as it is installed; nothing of development alone', () =>
    expect(names('app/bun.lock', lock)).toEqual([
      '@s/b@2.1.0',
      '@s/d@1.0.0',
      'a@1.0.0',
      'c@1.5.0',
      'c@2.0.0',
      'e@3.0.0',
    ]))

  test("the example's own", () => {
    const file = join(import.meta.dir, '../../../examples/chatbot-platform/bun.lock')
    const found = names(file, readFileSync(file, 'utf8'))
    expect(found).toContain('prom-client@15.1.3')
    expect(found.filter((name) => /eslint|typescript/.test(name))).toEqual([])
  })

  test('a dependency that it does not hold', async () => {
    const content = '{"lockfileVersion":2,"workspaces":{"":{"dependencies":{"gone":"1"}}},"packages":{}}'
    expect(await failure(Promise.try(readLockfile, 'bun.lock', content))).toEqual({
      code: 1,
      message: 'bun.lock cannot be read as a lockfile: gone is not in it',
    })
  })
})

describe('package-lock.json', () => {
  const lock = {
    lockfileVersion: 3,
    packages: {
      '': { name: 'app', version: '1.0.0' },
      'node_modules/a': { version: '1.0.0', integrity: 'sha512-AAAA' },
      'node_modules/a/node_modules/@s/b': { version: '2.0.0', optional: true },
      'node_modules/alias': { name: 'real', version: '3.0.0' },
      'node_modules/tool': { version: '1.0.0', dev: true },
      'node_modules/web': { resolved: 'packages/web', link: true },
      'packages/web': { name: 'web', version: '0.0.0' },
    },
  }
  test('what is installed in production', () =>
    expect(names('package-lock.json', lock)).toEqual(['@s/b@2.0.0', 'a@1.0.0', 'real@3.0.0']))

  test.each(['', 'null', '{}', '{"lockfileVersion":1,"dependencies":{}}', '[]', '{"lockfileVersion":3,'])(
    '%j is none',
    async (content) =>
      expect(await failure(Promise.try(readLockfile, 'package-lock.json', content))).toMatchObject({
        code: 1,
      }),
  )
  test.each(['', 'null', '{}', '{"lockfileVersion":2}'])('bun.lock: %j is none', async (content) =>
    expect(await failure(Promise.try(readLockfile, 'bun.lock', content))).toMatchObject({ code: 1 }),
  )
})

describe('several lockfiles', () => {
  test('each package once', () => {
    const content = JSON.stringify({
      lockfileVersion: 3,
      packages: { 'node_modules/a': { version: '1.0.0' } },
    })
    for (const name of ['package-lock.json', 'sub-package-lock.json'])
      writeFileSync(join(folder, name), content)
    expect(readLockfiles(folder, ['package-lock.json', 'package-lock.json'])).toHaveLength(1)
  })

  test('one that is not there', async () =>
    expect(await failure(Promise.try(readLockfiles, folder, ['none/bun.lock']))).toMatchObject({
      code: 2,
      message: expect.stringContaining('There is no lockfile'),
    }))
})

describe('package URLs', () => {
  test.each([
    ['a', '1.0.0', 'pkg:npm/a@1.0.0'],
    ['@s/b', '1.0.0', 'pkg:npm/%40s/b@1.0.0'],
    ['a', '1.0.0+build.1', 'pkg:npm/a@1.0.0%2Bbuild.1'],
  ])('%s %s', (name, version, expected) => expect(purl({ name, version })).toBe(expected))

  test.each(hostile.filter(Boolean))('of a package called %j is one word', (name) =>
    expect(purl({ name, version: name })).toMatch(/^pkg:npm\/[\w.\-~!*'()%/]+@[\w.\-~!*'()%]+$/),
  )
})

/** What the schema of CycloneDX 1.6 demands of the parts that are used here. */
const cyclonedx = z.object({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.6'),
  serialNumber: z.string().regex(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  version: z.int().min(1),
  metadata: z.object({
    timestamp: z.iso.datetime(),
    component: z.object({
      type: z.literal('container'),
      'bom-ref': z.string().min(1),
      name: z.string().min(1),
    }),
  }),
  components: z.array(
    z.object({
      type: z.literal('library'),
      'bom-ref': z.string().min(1),
      name: z.string().min(1),
      version: z.string(),
      purl: z.string().startsWith('pkg:npm/'),
      hashes: z
        .array(
          z.object({
            alg: z.enum(['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512']),
            content: z.string().regex(/^[0-9a-f]{40,128}$/),
          }),
        )
        .optional(),
    }),
  ),
})

test('the bill is CycloneDX, bound to the digest, and its references are unique', () => {
  const sha512 = Buffer.from('a'.repeat(64)).toString('base64')
  const packages = [
    { name: 'a', version: '1.0.0', integrity: `sha512-${sha512}` },
    { name: '@s/b', version: '2.0.0', integrity: 'md5-xxxx' },
    ...hostile.filter(Boolean).map((name) => ({ name, version: '1.0.0' })),
  ]
  const subject = {
    image: 'ghcr.io/team/chat',
    digest: digest('a'),
    version: '1.2.3',
    at: '2026-11-23T08:00:00.000Z',
  }
  const file = join(folder, 'bom.json')
  const { sha256 } = writeBill(file, packages, subject)
  const text = readFileSync(file, 'utf8')
  expect(sha256).toBe(new Bun.CryptoHasher('sha256').update(text).digest('hex'))
  const bill = cyclonedx.parse(JSON.parse(text))
  expect(bill.components[0]?.hashes).toEqual([
    { alg: 'SHA-512', content: Buffer.from('a'.repeat(64)).toString('hex') },
  ])
  expect(bill.metadata.component['bom-ref']).toContain(encodeURIComponent(digest('a')))
  const refs = bill.components.map((component) => component['bom-ref'])
  expect(new Set(refs).size).toBe(packages.length)
  expect(billOfMaterials([], subject).components).toEqual([])
})
