import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shell } from '../../../lib/command.ts'
import {
  besideOf,
  findRelease,
  readRelease,
  RELEASE_LABEL,
  stageResults,
  writeRelease,
  type Release,
} from '../../../lib/image/release-file.ts'
import { pushImage } from '../../../sandbox/push.ts'
import { serveRegistry } from '../../../sandbox/registry.ts'
import { hostile } from '../hostile.ts'
import { digest } from '../objects.ts'
import { failure } from '../world.ts'

const folder = mkdtempSync(join(tmpdir(), 'release-test-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'release.json')

const release: Release = {
  image: 'ghcr.io/team/chat',
  digest: digest('a'),
  tags: ['1.2.3', 'sha-860c190'],
  version: '1.2.3',
  commit: '860c1904a1ce19322e91ac35af1ab07466440c37',
  builtAt: '2026-11-23T08:00:00.000Z',
  sbom: { file: 'reports/docker/sbom.cdx.json', sha256: 'a'.repeat(64), bytes: 10 },
  stages: {},
}

const silent = shell(() => {})
const find = (image: string) => findRelease(image, silent)

describe('the release file', () => {
  test('is read as it was written', () => {
    writeRelease(release, file)
    expect(readRelease(file)).toEqual(release)
  })

  test.each<[string, string, RegExp]>([
    ['is not JSON', 'x', /is no release file/],
    ['is empty', '', /is no release file/],
    ['has no digest', JSON.stringify({ ...release, digest: undefined }), /is no release file: digest/],
    ['has half a digest', JSON.stringify({ ...release, digest: 'sha256:abc' }), /is no release file: digest/],
    ['has a version that is no tag', JSON.stringify({ ...release, version: '1\n2' }), /file: version/],
    ['has no tags', JSON.stringify({ ...release, tags: [] }), /is no release file: tags/],
  ])('one that %s is none', async (_, text, message) => {
    writeFileSync(file, text)
    expect(await failure(Promise.try(readRelease, file))).toEqual({
      code: 2,
      message: expect.stringMatching(message),
    })
  })

  test('one that is not there says who writes it', async () =>
    expect(await failure(Promise.try(readRelease, join(folder, 'none')))).toMatchObject({
      code: 2,
      message: expect.stringContaining('docker-build.ts writes it'),
    }))

  test('a wrong one is not written', () =>
    expect(() => writeRelease({ ...release, digest: '' }, join(folder, 'wrong.json'))).toThrow())
})

describe('the release beside an image', () => {
  const registry = serveRegistry()
  afterAll(() => registry.stop())
  let count = 0

  /** An image of its own each time, with this beside it. */
  async function beside(label: string | undefined): Promise<string> {
    const image = `${registry.address}/chat-${count++}`
    const labels = label === undefined ? {} : { [RELEASE_LABEL]: label }
    await pushImage(besideOf(image, release.digest), { entrypoint: [], labels })
    return `${image}@${release.digest}`
  }
  test('is found by the digest', async () =>
    expect(await find(await beside(JSON.stringify(release)))).toEqual(release))

  test('is none where nothing was pushed, or something else', async () => {
    expect(await find(`${registry.address}/never@${release.digest}`)).toBeUndefined()
    expect(await find(await beside(undefined))).toBeUndefined()
  })

  test("another digest's is none", async () => {
    const image = await beside(JSON.stringify({ ...release, digest: digest('b') }))
    expect(await failure(find(image))).toEqual({
      code: 1,
      message: "what the registry keeps beside it is another digest's",
    })
  })

  const spoiled = [
    ...hostile,
    '{}',
    'null',
    JSON.stringify({ ...release, '\u001B[31m': 1 }),
    JSON.stringify({ ...release, stages: { test: { passed: 'true' } } }),
    JSON.stringify({ ...release, stages: { ['x\u001B[2J']: {} } }),
  ]
  test.each(spoiled)('%j is none, and is not repeated', async (label) =>
    expect(await failure(find(await beside(label)))).toEqual({
      code: 1,
      message: 'what the registry keeps beside it is no release file',
    }),
  )
})

const leave = (stage: string, content: string) => {
  mkdirSync(join(folder, stage), { recursive: true })
  writeFileSync(join(folder, stage, 'result.json'), content)
}

describe('the results of the stages', () => {
  const result = { stage: 'test', passed: false, commit: 'abc', startedAt: '2026-11-23T08:00:00.000Z' }
  beforeEach(() => {
    for (const stage of ['test', 'security-scan'])
      rmSync(join(folder, stage), { recursive: true, force: true })
  })

  test('are named with their verdict, their commit and their checksum', () => {
    const content = JSON.stringify({ ...result, more: 1 })
    leave('test', content)
    const skipped = [{ scanner: 'dependency-check', reason: 'its data is being mended' }]
    leave('security-scan', JSON.stringify({ ...result, stage: 'security-scan', passed: true, skipped }))
    expect(stageResults(folder)).toEqual({
      'security-scan': expect.objectContaining({ passed: true, without: ['dependency-check'] }),
      test: {
        passed: false,
        commit: 'abc',
        startedAt: result.startedAt,
        file: join(folder, 'test/result.json'),
        sha256: new Bun.CryptoHasher('sha256').update(content).digest('hex'),
      },
    })
  })

  test('are none where none ran', () => expect(stageResults(join(folder, 'none'))).toEqual({}))

  test.each(['', '{}', JSON.stringify({ ...result, passed: 'true' })])('%j is none', (content) => {
    leave('test', content)
    expect(() => stageResults(folder)).toThrow(/is no stage's result/)
  })
})
