import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { World } from '../../../lib/cluster/world.ts'
import type { Shell } from '../../../lib/command.ts'
import { reported } from '../../../lib/report/after.ts'
import { archive, readArchive } from '../../../lib/report/archive.ts'
import { known } from '../../../lib/report/known.ts'
import { writeReport } from '../../../lib/report/write.ts'
import { systemClock } from '../../../lib/clock.ts'
import { temporaryFolder, type TemporaryFolder } from '../../../lib/temporary.ts'
import { rehearse, type Rehearsal } from '../world.ts'
import { iso, record, START } from './records.ts'
import { report } from './reports.ts'

let folder: TemporaryFolder
let rehearsal: Rehearsal
let registry: ReturnType<typeof startRegistry>
beforeEach(() => {
  folder = temporaryFolder()
  registry = startRegistry()
  rehearsal = rehearse()
})
afterEach(async () => {
  folder[Symbol.dispose]()
  await registry.server.stop(true)
  await rehearsal[Symbol.asyncDispose]()
})

const REVISION = 'a'.repeat(40)

const digestOf = (text: string): string =>
  `sha256:${new Bun.CryptoHasher('sha256').update(text).digest('hex')}`

/** A registry with one image, which was built of a commit; it counts who asks. */
function startRegistry() {
  const config = JSON.stringify({ config: { Labels: { 'org.opencontainers.image.revision': REVISION } } })
  const manifest = JSON.stringify({ config: { digest: digestOf(config) } })
  const asked: string[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ url }) => {
      const { pathname } = new URL(url)
      asked.push(pathname)
      if (pathname.endsWith(digestOf(manifest))) return new Response(manifest)
      if (pathname.endsWith(digestOf(config))) return new Response(config)
      return Response.json({ errors: [{ code: 'MANIFEST_UNKNOWN' }] }, { status: 404 })
    },
  })
  /** What it was asked up to now, and this last: what was sent before has come by then. */
  const heard = async (): Promise<string[]> => {
    await (await fetch(new URL('/last', server.url))).text()
    return asked
  }
  return { server, asked, heard, image: `127.0.0.1:${server.port}/chat@${digestOf(manifest)}` }
}

/** No git is there. */
const alone: Shell = {
  read: () => Promise.reject(new Error('no program')),
  write: () => Promise.reject(new Error('nothing is written')),
  start: () => Promise.reject(new Error('nothing is started')),
}

/** The end of a run that has written to these records. */
function ended(records: unknown[], about: Partial<World['environment']> = {}) {
  const { world } = rehearsal
  const told: string[] = []
  const entries = records.map((entry) =>
    typeof entry === 'object' && entry !== null && 'to' in entry
      ? {
          ...entry,
          from: undefined,
          to: { color: 'green', release: 'r', version: '1.1.0', image: registry.image },
        }
      : entry,
  )
  const end: World = {
    ...world,
    environment: { ...world.environment, ...about },
    shell: alone,
    reports: folder.path,
    written: new Set(entries),
    log: { ...world.log, info: (line) => void told.push(line), warn: (line) => void told.push(`! ${line}`) },
  }
  return { end, told }
}

const filesOf = (id: string): string[] => readdirSync(join(folder.path, id)).toSorted()

describe('at the end of a run', () => {
  test('each record that it has written to has its report, and people are told where', async () => {
    const { end, told } = ended([record({ id: '01a' }), record({ id: '01b', outcome: 'interrupted' })])
    await reported(end)
    for (const id of ['01a', '01b']) expect(filesOf(id)).toEqual(['report.html', 'report.json', 'report.md'])
    expect(told).toEqual([`report: ${folder.path}/01a/report.html`, `report: ${folder.path}/01b/report.html`])
    expect(readFileSync(join(folder.path, '01b/report.html'), 'utf8')).toContain('was interrupted')
  })

  test('what cannot be had is said, and what is there is there', async () => {
    await reported(ended([record({ id: '01a' })]).end)
    const json: unknown = JSON.parse(readFileSync(join(folder.path, '01a/report.json'), 'utf8'))
    expect(json).toMatchObject({
      record: { id: '01a' },
      commits: { known: false },
      told: { verdict: 'Live' },
    })
    expect(readFileSync(join(folder.path, '01a/report.md'), 'utf8')).toContain('What is not known')
  })

  test('it never throws, whatever is in its way: a file in the place of the folder, a record that is none', async () => {
    writeFileSync(join(folder.path, '01a'), 'in the way')
    const { end, told } = ended([record({ id: '01a' }), { id: 7 }, record({ id: '01b' })])
    await reported(end)
    expect(told[0]).toStartWith('! The report could not be written: ')
    expect(filesOf('01b')).toHaveLength(3)
  })

  test.each(['../escaped', '/tmp/escaped', '..', '.', '', 'a/b'])(
    'a record named %j writes nothing outside of the folder',
    async (id) => {
      const inner = join(folder.path, 'inner')
      mkdirSync(inner)
      expect(() => writeReport(report({ id }), inner)).toThrow('names no folder')
      expect(readdirSync(folder.path)).toEqual(['inner'])
      expect(existsSync('/tmp/escaped')).toBe(false)
    },
  )

  test('S7: no secret of the environment stands in any of it', async () => {
    const secret = 'p4ssw0rd-of-the-database'
    const leaky = record({
      id: '01a',
      message: `refused: ${secret}`,
      reason: `see https://x:${secret}@host`,
      by: secret,
    })
    const { end } = ended([leaky], { secrets: [secret] })
    await reported(end)
    for (const file of filesOf('01a'))
      expect(readFileSync(join(folder.path, '01a', file), 'utf8')).not.toContain(secret)
  })

  test('what an image was built of is asked of its registry, and in the archive afterwards', async () => {
    const place = join(folder.path, 'archive')
    const { end } = ended([record({ id: '01a' })], { archive: place })
    await reported({ ...end, clock: systemClock })
    expect(registry.asked.length).toBeGreaterThan(0)
    expect(readFileSync(join(folder.path, '01a/report.html'), 'utf8')).toContain(REVISION)
    expect(readArchive(place, 'production').found).toMatchObject([{ source: { revision: REVISION } }])
  })

  test('an interrupted run asks nobody: it says what it has, at once', async () => {
    const { end } = ended([record({ id: '01a' })])
    await reported({ ...end, clock: systemClock, signal: AbortSignal.abort(new Error('stop')) })
    expect(await registry.heard()).toEqual(['/last'])
    expect(filesOf('01a')).toHaveLength(3)
  })

  test('whoever went back waits for no registry, also for the release that was left', async () => {
    const { end } = ended([
      record({ id: '01a', kind: 'rollback' }),
      record({ id: '01b', outcome: 'taken-back' }),
    ])
    await reported({ ...end, clock: systemClock })
    expect(await registry.heard()).toEqual(['/last'])
    expect(readFileSync(join(folder.path, '01b/report.html'), 'utf8')).toContain('was taken back')
  })

  test('in the archive stands what has ended, and nothing that is under way', async () => {
    const place = join(folder.path, 'archive')
    const open = record({ id: '01b', outcome: 'open' })
    await reported(ended([record({ id: '01a' }), open], { archive: place }).end)
    expect(readdirSync(join(place, 'production'))).toEqual(['01a.json'])
  })
})

describe('the archive', () => {
  test('gives back what was put in, anew when it has changed', () => {
    const source = { revision: 'a'.repeat(40), committedAt: iso(START) }
    archive(folder.path, { record: record(), source })
    archive(folder.path, { record: record({ outcome: 'taken-back' }) }) // by a run that was in a hurry
    const { found, unread } = readArchive(folder.path, 'production')
    expect(found).toMatchObject([{ record: { outcome: 'taken-back' }, source }])
    expect(unread).toEqual([])
  })

  test.each(['../x', '.', '', 'a/b', '-'.repeat(0)])(
    'no file outside of it, whatever the record is called: %j',
    (name) => {
      expect(() => archive(folder.path, { record: record({ id: name }) })).toThrow('names no file')
      expect(() => archive(folder.path, { record: record({ environment: name }) })).toThrow('names no file')
    },
  )

  test('what is no record, or half of one, or of another environment, is named and left out', () => {
    archive(folder.path, { record: record() })
    for (const [name, text] of Object.entries({ a: '', b: '{"record":{}}', c: '[]' }))
      writeFileSync(join(folder.path, 'production', `${name}.json`), text)
    const other = JSON.stringify({ record: record({ environment: 'staging' }) })
    writeFileSync(join(folder.path, 'production', 'd.json'), other)
    writeFileSync(join(folder.path, 'production', 'e.json.part'), '{')
    const { found, unread } = readArchive(folder.path, 'production')
    expect(found).toHaveLength(1)
    expect(unread.map((file) => file.slice(-6)).toSorted()).toEqual(['a.json', 'b.json', 'c.json', 'd.json'])
  })

  test('that is not there yet holds nothing', () =>
    expect(readArchive(join(folder.path, 'none'), 'production')).toEqual({ found: [], unread: [] }))

  test("beside the cluster's records: its word on what became of one counts, and both are there", async () => {
    const { world } = rehearsal
    const here = { ...world, shell: alone, environment: { ...world.environment, name: 'production' } }
    const source = { revision: 'a'.repeat(40), committedAt: iso(START) }
    archive(folder.path, { record: record({ id: 'old' }), source })
    archive(folder.path, { record: record({ id: 'both' }), source })
    const kept = [
      record({ id: 'both', outcome: 'taken-back' }),
      record({ id: 'new' }),
      record({ id: 'open', outcome: 'open' }),
      record({ id: 'odd', unreadable: 'kind: Invalid option' }),
    ]
    const { found } = await known(here, kept, folder.path, Infinity)
    const sorted = found.toSorted((a, b) => a.record.id.localeCompare(b.record.id))
    const told = sorted.map((one) => [one.record.id, one.record.outcome, one.source?.revision])
    expect(told).toEqual([
      ['both', 'taken-back', source.revision],
      ['new', 'succeeded', undefined],
      ['odd', 'succeeded', undefined],
      ['old', 'succeeded', source.revision],
      ['open', 'open', undefined],
    ])
    // What has not ended, or cannot be read as a whole, is told anew another time.
    const again = readArchive(folder.path, 'production').found.map(
      ({ record }) => `${record.id} ${record.outcome}`,
    )
    expect(again.toSorted()).toEqual(['both taken-back', 'new succeeded', 'old succeeded'])
  })
})
