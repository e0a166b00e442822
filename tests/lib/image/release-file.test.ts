import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readRelease, stageResults, writeRelease, type Release } from '../../../lib/image/release-file.ts'
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
    leave(
      'security-scan',
      JSON.stringify({
        ...result,
        stage: 'security-scan',
        passed: true,
        skipped,
        failOn: 'low',
        counts: { low: 2 },
      }),
    )
    expect(stageResults(folder)).toEqual({
      'security-scan': expect.objectContaining({
        passed: true,
        without: ['dependency-check'],
        failOn: 'low',
        counts: { low: 2 },
      }),
      test: {
        passed: false,
        commit: 'abc',
        startedAt: result.startedAt,
        file: join(folder, 'test/result.json'),
        sha256: new Bun.CryptoHasher('sha256').update(content).digest('hex'),
      },
    })
  })

  test('are one alone where it is asked for', () => {
    leave('test', JSON.stringify(result))
    leave('security-scan', JSON.stringify({ ...result, stage: 'security-scan' }))
    expect(Object.keys(stageResults(folder, 'security-scan'))).toEqual(['security-scan'])
  })

  test('are none where none ran', () => expect(stageResults(join(folder, 'none'))).toEqual({}))

  test.each(['', '{}', JSON.stringify({ ...result, passed: 'true' })])('%j is none', (content) => {
    leave('test', content)
    expect(() => stageResults(folder)).toThrow(/is no stage's result/)
  })
})
