import { describe, expect, test } from 'bun:test'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js'
import { readEvidence } from '../../../lib/report/evidence.ts'
import { temporaryFolder } from '../../../lib/temporary.ts'

/** The smallest that a browser takes for one: its first bytes. */
const PNG = Buffer.from('89504e470d0a1a0a0000000d', 'hex')

const checkOf = (...evidence: string[]) => ({
  checks: [
    { gate: 'ui', name: 'sign in', verdict: 'failed' as const, ms: 1, expected: 'x', seen: 'y', evidence },
  ],
})

function put(folder: string, file: string, content: string | Buffer): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true })
  writeFileSync(join(folder, file), content)
}

describe('evidence that a page shows', () => {
  test('pictures, by what they are and not by what they are called', () => {
    using folder = temporaryFolder()
    put(folder.path, 'preview/a.png', PNG)
    put(folder.path, 'preview/b.png', '<svg onload="alert(1)">')
    const found = readEvidence(folder.path, checkOf('preview/a.png', 'preview/b.png', 'preview/a.png'))
    expect(found.screenshots.map(({ file }) => file)).toEqual(['preview/a.png'])
    expect(found.screenshots[0]?.data).toBe(`data:image/png;base64,${PNG.toString('base64')}`)
  })

  test('nothing outside of the folder, whatever a record names, and by a link neither', () => {
    using folder = temporaryFolder()
    const record = join(folder.path, 'record')
    put(folder.path, 'secret.png', PNG)
    mkdirSync(record)
    symlinkSync(join(folder.path, 'secret.png'), join(record, 'link.png'))
    const names = ['../secret.png', join(folder.path, 'secret.png'), 'link.png', '.png', 'x\0.png']
    const found = readEvidence(record, checkOf(...names))
    expect(found.screenshots).toEqual([])
    expect(found.missing).toContain('../secret.png')
  })

  test('pictures of less than 1.2 MB together, the rest by name', () => {
    using folder = temporaryFolder()
    const names = Array.from({ length: 5 }, (_, i) => `${i}.png`)
    for (const name of names) put(folder.path, name, Buffer.concat([PNG, Buffer.alloc(400_000)]))
    put(folder.path, 'large.png', Buffer.concat([PNG, Buffer.alloc(600_000)]))
    const found = readEvidence(folder.path, checkOf(...names, 'large.png'))
    expect(found.screenshots).toHaveLength(2)
    expect(found.missing).toEqual(['2.png', '3.png', '4.png', 'large.png'])
  })

  test('latencies as they were counted: every request is in a bar, in the one of its time', () => {
    using folder = temporaryFolder()
    const times = [...Array.from({ length: 90 }, () => 1.5), ...Array.from({ length: 10 }, () => 40)]
    const histogram = build({ highestTrackableValue: 600_000_000, numberOfSignificantValueDigits: 3 })
    for (const ms of times) histogram.recordValue(ms * 1000)
    const figures = { requests: 100, failed: 1, p50: 1.5, p90: 1.5, p99: 40, max: 40 }
    const target = { ...figures, histogram: encodeIntoCompressedBase64(histogram) }
    const live = { ...figures, histogram: 'none' }
    put(folder.path, 'preview/performance.json', JSON.stringify({ target, live }))
    const [own, other] = readEvidence(folder.path, checkOf('preview/performance.json')).latencies
    const shareAt = (ms: number) => own?.bars.find(({ from, to }) => from <= ms && ms < to)?.share
    expect([shareAt(1.5), shareAt(40)]).toEqual([0.9, 0.1])
    expect(own?.bars).toHaveLength(2)
    expect(other).toMatchObject({ name: 'the live color', p99: 40, bars: [] })
  })

  test("Lighthouse's scores; one that it could not give is none", () => {
    using folder = temporaryFolder()
    const categories = { a: { title: 'Performance', score: 0.93 }, b: { title: 'SEO', score: null } }
    put(folder.path, 'preview/page-quality/report.json', JSON.stringify({ categories }))
    const found = readEvidence(folder.path, checkOf('preview/page-quality/report.json'))
    expect(found.scores).toEqual([{ name: 'Performance', score: 0.93 }])
  })

  test.each(['', '{', '[]', '{"target":{"p50":"x"}}', '{"categories":7}'])(
    'what is no evidence is none: %j',
    (text) => {
      using folder = temporaryFolder()
      put(folder.path, 'x/performance.json', text)
      put(folder.path, 'x/page-quality/report.json', text)
      const found = readEvidence(folder.path, checkOf('x/performance.json', 'x/page-quality/report.json'))
      expect(found).toMatchObject({ latencies: [], scores: [] })
    },
  )

  test('on another machine there is none, and nothing is said to be missing from a folder that never was', () =>
    expect(readEvidence('/nowhere', checkOf('a.png'))).toEqual({
      here: false,
      screenshots: [],
      latencies: [],
      scores: [],
      missing: [],
    }))
})
