import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { z } from 'zod'
import { billOfMaterials, purl, readLockfile, readLockfiles, writeBill } from '../../../lib/image/sbom.ts'
import { hostile } from '../hostile.ts'
import { digest } from '../objects.ts'
import { failure } from '../world.ts'

const folder = mkdtempSync(join(tmpdir(), 'sbom-test-'))
afterAll(() => rmSync(folder, { recursive: true }))
const names = (file: string, content: unknown) =>
  readLockfile(file, typeof content === 'string' ? content : JSON.stringify(content)).packages.map(
    ({ name, version }) => `${name}@${version}`,
  )

/** The package URL of what bun.lock has from elsewhere. */
const from = (source: string) => {
  const packages = { fork: [`fork@${source}`, {}, 'x-fork-abc'] }
  const content = { lockfileVersion: 1, workspaces: { '': { dependencies: { fork: '1' } } }, packages }
  return readLockfile('bun.lock', JSON.stringify(content)).packages.map(purl)
}

describe('bun.lock', () => {
  /** As Bun writes it: comments never, commas at ends always. */
  const lock = `{
    "lockfileVersion": 2, "configVersion": 1,
    "workspaces": {
      "": { "name": "app", "dependencies": { "a": "1", "@s/b": "^2", }, "devDependencies": { "tool": "1" }, },
      "packages/api": { "name": "@org/backend", "dependencies": { "is-number": "3" } },
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
      "tool": ["tool@1.0.0", "", { "dependencies": { "e": "4", "p": "1" } }, "sha512-HHHH"],
      "p": ["p@1.0.0", "", {}, "sha512-IIII"],
      "is-number": ["is-number@7.0.0", "", {}, "sha512-JJJJ"],
      "@org/backend": ["@org/backend@workspace:packages/api"],
      "@org/backend/is-number": ["is-number@3.0.0", "", { "dependencies": { "kind-of": "3" } }, "sha512-KKKK"],
      "@org/backend/is-number/kind-of": ["kind-of@3.2.2", "", {}, "sha512-LLLL"],
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
      // Of the workspace @org/backend, in the folder packages/api; p is optional, and development's alone.
      'is-number@3.0.0',
      'kind-of@3.2.2',
    ]))

  test('which needs which', () => {
    const { packages, direct } = readLockfile('bun.lock', lock)
    const needs = Object.fromEntries(packages.map((found) => [purl(found), found.needs]))
    expect(needs).toMatchObject({
      'pkg:npm/a@1.0.0': ['pkg:npm/c@1.5.0'],
      'pkg:npm/c@1.5.0': ['pkg:npm/a@1.0.0'],
      'pkg:npm/%40s/b@2.1.0': ['pkg:npm/%40s/d@1.0.0', 'pkg:npm/e@3.0.0'],
      'pkg:npm/is-number@3.0.0': ['pkg:npm/kind-of@3.2.2'],
    })
    const names = ['%40s/b@2.1.0', 'a@1.0.0', 'c@2.0.0', 'is-number@3.0.0']
    expect(direct).toEqual(names.map((name) => `pkg:npm/${name}`))
  })

  test('what comes from elsewhere has no version, and says where it comes from, without a login', () => {
    const vcs = 'pkg:npm/fork?vcs_url='
    expect(from('github:x/fork#abc')).toEqual([
      `${vcs}${encodeURIComponent('git+https://github.com/x/fork#abc')}`,
    ])
    expect(from('git+ssh://git@host/x.git#abc')).toEqual([
      `${vcs}${encodeURIComponent('git+ssh://host/x.git#abc')}`,
    ])
    expect(from('git+https://me:s3cret@host/x#a')).toEqual([
      `${vcs}${encodeURIComponent('git+https://host/x#a')}`,
    ])
    expect(from('https://host/x.tgz')).toEqual([
      `pkg:npm/fork?download_url=${encodeURIComponent('https://host/x.tgz')}`,
    ])
    expect(from('file:./x')).toEqual(['pkg:npm/fork'])
  })

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

  test('which needs which, as Node.js finds it; where a tarball is', () => {
    const at = 'https://host/a.tgz'
    const packages = {
      '': { dependencies: { a: '1' }, devDependencies: { tool: '1' } },
      'packages/web': { dependencies: { b: '2' }, peerDependencies: { tool: '1' } },
      'packages/web/node_modules/b': { version: '2.0.0' },
      'node_modules/a': { version: '1.0.0', dependencies: { b: '1', c: '1' }, resolved: at },
      'node_modules/a/node_modules/b': { version: '1.0.0', optionalDependencies: { c: '1', gone: '1' } },
      'node_modules/b': { version: '3.0.0' },
      'node_modules/c': { version: '1.0.0', resolved: 'git+ssh://git@host/c.git#abc' },
      'node_modules/tool': { version: '1.0.0', dev: true },
    }
    const found = readLockfile('package-lock.json', JSON.stringify({ lockfileVersion: 3, packages }))
    const c = `pkg:npm/c@1.0.0?vcs_url=${encodeURIComponent('git+ssh://host/c.git#abc')}`
    expect(found.direct).toEqual(['pkg:npm/a@1.0.0', 'pkg:npm/b@2.0.0'])
    expect(Object.fromEntries(found.packages.map((one) => [purl(one), one.needs]))).toEqual({
      'pkg:npm/a@1.0.0': ['pkg:npm/b@1.0.0', c],
      'pkg:npm/b@1.0.0': [c],
      'pkg:npm/b@2.0.0': [],
      'pkg:npm/b@3.0.0': [],
      [c]: [],
    })
    expect(found.packages[0]?.from).toBe(at)
  })

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
    expect(readLockfiles(folder, ['package-lock.json', 'package-lock.json']).packages).toHaveLength(1)
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

/** What of it is looked at; that it is CycloneDX is said by the official schema, which the library carries. */
const bill = z.object({
  metadata: z.object({
    timestamp: z.string(),
    tools: z.object({ components: z.array(z.object({ name: z.string() })) }),
    component: z.object({ type: z.string(), 'bom-ref': z.string() }),
  }),
  components: z
    .array(
      z.object({
        'bom-ref': z.string(),
        purl: z.string(),
        version: z.string().optional(),
        hashes: z.unknown().optional(),
        externalReferences: z.unknown().optional(),
      }),
    )
    .default([]),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()).optional() })),
})

const distributed = (url: string) => {
  const hashes = [{ alg: 'SHA-512', content: Buffer.from('a'.repeat(64)).toString('hex') }]
  return { externalReferences: [{ type: 'distribution', url, hashes }] }
}

const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6)

describe('the bill', () => {
  const sha512 = Buffer.from('a'.repeat(64)).toString('base64')
  const own = { name: 'a', version: '1.0.0', integrity: `sha512-${sha512}`, needs: ['pkg:npm/%40s/b@2.0.0'] }
  const packages = [
    own,
    { name: '@s/b', version: '2.0.0', integrity: 'md5-xxxx', needs: [] },
    { name: 'fork', from: 'git+https://host/x y.git#<abc>', needs: [purl(own)] },
    { name: 'far', version: '1.0.0', from: 'https://host/far.tgz', integrity: `sha512-${sha512}`, needs: [] },
    ...hostile.filter(Boolean).map((name) => ({ name, version: '1.0.0', needs: [] })),
  ]
  const at = '2026-11-23T08:00:00.000Z'
  const subject = { image: 'ghcr.io/team/chat', digest: digest('a'), version: '1.2.3', at }
  const direct = [purl(own)]

  test('is CycloneDX 1.6 by the official schema, and could be none', async () => {
    const text = billOfMaterials({ packages, direct }, subject)
    expect(await validator.validate(text)).toBeNull()
    expect(await validator.validate(billOfMaterials({ packages: [], direct: [] }, subject))).toBeNull()
    expect(await validator.validate(text.replace('"type": "library"', '"type": "x"'))).not.toBeNull()
    expect(await validator.validate(text.replace('"dependsOn"', '"dependsUpon"'))).not.toBeNull()
  })

  test('is written with its checksum, bound to the digest, and its references are unique', () => {
    const file = join(folder, 'bom.json')
    const { sha256 } = writeBill(file, { packages, direct }, subject)
    const text = readFileSync(file, 'utf8')
    expect(sha256).toBe(new Bun.CryptoHasher('sha256').update(text).digest('hex'))
    const { metadata, components, dependencies } = bill.parse(JSON.parse(text))
    expect(metadata).toMatchObject({ timestamp: at, tools: { components: [{ name: 'deploy-scripts' }] } })
    const id = metadata.component['bom-ref']
    expect(id).toContain(encodeURIComponent(digest('a')))
    const refs = components.map((component) => component['bom-ref'])
    expect(new Set(refs).size).toBe(packages.length)

    const of = (ref: string) => components.find((component) => component['bom-ref'] === ref)
    expect(of(purl(own))).toMatchObject(distributed(purl(own)))
    expect(of(purl(own))?.hashes).toBeUndefined()
    expect(of('pkg:npm/far@1.0.0')).toMatchObject(distributed('https://host/far.tgz'))
    expect(of('pkg:npm/%40s/b@2.0.0')?.externalReferences).toBeUndefined()
    expect(components.find((one) => one.purl.startsWith('pkg:npm/fork'))?.version).toBeUndefined()
    const needs = Object.fromEntries(dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]))
    expect(needs[id]).toEqual([purl(own)])
    expect(needs[purl(own)]).toEqual(['pkg:npm/%40s/b@2.0.0'])
  })

  test("of the example's own lockfile", async () => {
    const example = join(import.meta.dir, '../../../examples/chatbot-platform')
    expect(
      await validator.validate(billOfMaterials(readLockfiles(example, ['bun.lock']), subject)),
    ).toBeNull()
  })
})
