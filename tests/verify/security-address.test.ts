/** What belongs to users' address, and not to a release: asked before the switch, and counted against nobody after it. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { objections } from '../../lib/check.ts'
import { application, serve, type App, type Served } from './security/application.ts'
import { certificate, type Pair } from './security/certificates.ts'
import { check, gateOf, named, settings, type Ran } from './security/settings.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const way = ['certificate', 'tls-version', 'https-redirect']
let good: Pair
beforeAll(async () => {
  good = await certificate(90, 'IP:127.0.0.1')
})

const seen = ({ results }: Ran, id: string): string => {
  const { verdict, seen: words } = results.find(({ name }) => name === id) ?? { verdict: 'missing', seen: '' }
  return `${verdict}: ${words}`
}

const objected = ({ results }: Ran): string[] => objections(results).map(({ name }) => name)

/** A release over plain http behind users' https, as most previews are. */
async function rehearse(
  { weakLive = [], weakIdle = [], weakNext = weakIdle }: Record<string, string[]>,
  { daysLater = 0, first = false, pair = good, declared = {} } = {},
): Promise<{ before: Ran; after: Ran; users: Served }> {
  let serving = application(new Set(weakLive), { https: true })
  await using users = await serve((call) => serving(call), pair)
  await using idle = await serve(application(new Set(weakIdle)))
  const now = (): number => Date.now() + daysLater * 86_400_000
  const given = settings({ failOn: 'medium', ...declared })
  const gate = gateOf(given, { world: { now, ca: pair.cert, plainPort: 1 } })
  const where = { address: users.url, ...(!first && { live: users.url }) }
  const before = await check(idle.url, given, { gate, where })
  serving = application(new Set(weakNext), { https: true })
  const after = await check(users.url, given, { gate, part: 'passive' })
  return { before, after, users }
}

describe('users’ address', () => {
  test('is asked before the switch for what the preview has not, by GET and without an account', async () => {
    const { before, after, users } = await rehearse({})
    expect(named(before.results, 'passed')).toEqual(
      expect.arrayContaining(['certificate', 'tls-version', 'hsts']),
    )
    expect(seen(before, 'https-redirect')).toBe('passed: plain http is refused, nothing found')
    expect([...objected(before), ...objected(after)]).toEqual([])
    expect(users.requests.filter((request) => !request.startsWith('GET '))).toEqual([])
    expect(users.headers.filter(({ cookie, authorization }) => cookie ?? authorization)).toEqual([])
    expect(
      before.requests.filter(({ note }) => note.includes(' at ') || note.startsWith('at ')).length,
    ).toBeGreaterThan(10)
  })

  test('a certificate that is nearly over stops before the switch, and moves nobody back after it', async () => {
    const { before, after } = await rehearse({}, { daysLater: 70 })
    expect(objected(before)).toEqual(['certificate'])
    expect(seen(before, 'certificate')).toMatch(
      /^failed: high: TLS 127\.0\.0\.1:\d+ has a certificate that expires on/,
    )
    expect(objected(after)).toEqual([])
    expect(seen(after, 'certificate')).toMatch(/^passed: low: .*; there before the switch$/)
  })

  test('of the same certificate nothing is said with a third of its time left', async () => {
    const { before } = await rehearse({}, { daysLater: 60 })
    expect(objected(before)).toEqual([])
  })

  test('one that is over, or that nobody vouches for, stops before the switch', async () => {
    const { before } = await rehearse({}, { daysLater: 91 })
    expect(seen(before, 'certificate')).toStartWith('failed: critical: ')
  })

  test('what users lack there already stops before the switch, and is told after it', async () => {
    const { before, after } = await rehearse({ weakLive: ['hsts'], weakIdle: ['hsts'] })
    expect(objected(before)).toEqual(['hsts'])
    expect(objected(after)).toEqual([])
    expect(seen(after, 'hsts')).toMatch(
      /^passed: high: GET \/.* has no Strict-Transport-Security.*; there before the switch$/,
    )
    expect(after.findings.filter(({ id }) => id === 'hsts').every((finding) => finding.before)).toBe(true)
  })

  test('what the release takes away from there counts after the switch', async () => {
    const { before, after } = await rehearse({ weakIdle: ['hsts'] })
    expect(objected(before)).toEqual([])
    expect(objected(after)).toEqual(['hsts'])
  })

  test('a release that brings what users lack is not held back for it', async () => {
    const idle = application(new Set(), { https: true })
    await using users = await serve(application(new Set(['hsts']), { https: true }), good)
    await using preview = await serve(idle)
    const where = { address: users.url, live: users.url }
    const ran = await check(preview.url, settings(), { where, world: { ca: good.cert, plainPort: 1 } })
    expect(seen(ran, 'hsts')).toMatch(
      /^skipped: not applicable: 127\.0\.0\.1:\d+ lacks it, and this release sends it/,
    )
  })

  test('any weakness that users have had already brings nobody back to the same; another one does', async () => {
    const same = await rehearse({ weakLive: ['exposed-internals'], weakNext: ['exposed-internals'] })
    expect(objected(same.after)).toEqual([])
    expect(seen(same.after, 'exposed-internals')).toEndWith('; there before the switch')
    const other = await rehearse({
      weakLive: ['exposed-internals'],
      weakNext: ['exposed-internals', 'exposed-files'],
    })
    expect(objected(other.after)).toEqual(['exposed-files'])
  })

  test('what users have had does not count for what they have not had yet', async () => {
    const weak = new Set(['exposed-internals'])
    await using users = await serve(application(weak, { https: true }), good)
    await using idle = await serve(application(weak))
    const given = settings({ failOn: 'medium' })
    const gate = gateOf(given, { world: { ca: good.cert, plainPort: 1 } })
    const where = { address: users.url, live: users.url }
    for (let run = 0; run < 2; run++)
      expect(objected(await check(idle.url, given, { gate, where }))).toEqual(['exposed-internals'])
  })

  test('on a first release nobody is served: the way there is asked, and what is answered afterwards', async () => {
    const { before, after } = await rehearse({ weakLive: ['hsts'], weakNext: ['hsts'] }, { first: true })
    expect(objected(before)).toEqual([])
    expect(seen(before, 'hsts')).toMatch(/^skipped: not applicable: nobody is served at 127\.0\.0\.1:\d+ yet/)
    expect(named(before.results, 'passed')).toEqual(expect.arrayContaining(['certificate', 'tls-version']))
    expect(objected(after)).toEqual(['hsts'])
  })

  test.each<[string, App | undefined]>([
    ['does not answer', undefined],
    ['answers 503', () => ({ status: 503 })],
  ])(
    'what is live %s: that keeps no mending release back, and it is asked after the switch',
    async (_, sick) => {
      let serving = sick ?? application(new Set())
      const users = await serve((call) => serving(call), good)
      if (!sick) await users[Symbol.asyncDispose]()
      await using idle = await serve(application(new Set()))
      const given = settings({ failOn: 'medium' })
      const gate = gateOf(given, { world: { ca: good.cert, plainPort: 1 } })
      const where = { address: users.url, live: users.url }
      const before = await check(idle.url, given, { gate, where })
      expect(objected(before)).toEqual([])
      expect(seen(before, 'hsts')).toStartWith('skipped: not applicable: ')
      if (!sick) return
      serving = application(new Set(['hsts']), { https: true })
      expect(objected(await check(users.url, given, { gate, part: 'passive' }))).toEqual(['hsts'])
    },
  )

  test('where the preview is reached over https, it says itself what it answers', async () => {
    await using users = await serve(application(new Set(['hsts']), { https: true }), good)
    await using idle = await serve(application(new Set(), { https: true }), good)
    const where = { address: users.url, live: users.url }
    const ran = await check(idle.url, settings(), { where, world: { ca: good.cert, plainPort: 1 } })
    expect(objected(ran)).toEqual([])
    expect(named(ran.results, 'passed')).toEqual(expect.arrayContaining([...way, 'hsts']))
  })
})

/** Of the good certificate less than a quarter is left then. */
const later = (): number => Date.now() + 70 * 86_400_000

async function noted(weakBefore: string[], weakAfter: string[], part: 'whole' | 'passive'): Promise<Ran> {
  let serving = application(new Set(weakBefore), { https: true })
  await using users = await serve((call) => serving(call), good)
  const given = settings({ failOn: 'medium' })
  const gate = gateOf(given, { world: { ca: good.cert, plainPort: 1, now: later } })
  const at = { url: users.url, verification: 'v', evidence: '' }
  await gate.note(at, new AbortController().signal)
  const asked = users.requests.length
  await gate.note(at, new AbortController().signal)
  expect([users.requests.length, asked > 20]).toEqual([asked, true])
  serving = application(new Set(weakAfter), { https: true })
  return await check(users.url, given, { gate, part })
}

describe('looked at before, by who runs no gates of a preview', () => {
  // A rolling release is judged where users are; so is one that was opened by --resume.
  test.each(['whole', 'passive'] as const)('what was wrong already does not count, %s', async (part) => {
    const ran = await noted(['exposed-internals'], ['exposed-internals'], part)
    expect(objected(ran)).toEqual([])
    expect(seen(ran, 'exposed-internals')).toEndWith('; there before the switch')
    expect(seen(ran, 'certificate')).toEndWith('; there before the switch')
  })

  test.each(['whole', 'passive'] as const)('what is new does, %s', async (part) => {
    expect(objected(await noted(['exposed-internals'], ['framing'], part))).toEqual(['framing'])
  })

  test('that nobody answers is no reason to stop, and an interrupt is', async () => {
    const closed = await serve(() => ({}))
    await closed[Symbol.asyncDispose]()
    const at = { url: closed.url, verification: 'v', evidence: '' }
    await gateOf(settings()).note(at, new AbortController().signal)
    const stop = AbortSignal.abort(new Error('SIGINT'))
    expect(await gateOf(settings()).note(at, stop).catch(String)).toBe('Error: SIGINT')
  })
})

describe('a skip', () => {
  const skip = [{ id: 'exposed-files', reason: 'the firewall refuses it', expires: '2030-01-31' } as const]
  const asked = async (date: string, part: 'whole' | 'passive') => {
    await using server = await serve(application(new Set(['exposed-files'])))
    const given = settings({ skip })
    const ran = await check(server.url, given, { part, world: { now: () => Date.parse(date) } })
    expect(server.requests).not.toContain('GET /.env')
    return [seen(ran, 'exposed-files'), objected(ran)]
  }
  const left = 'until 2030-01-31: the firewall refuses it'

  test.each<[string, 'whole' | 'passive', string, string[]]>([
    ['2030-01-31T23:59:59Z', 'whole', `skipped: left out ${left}`, []],
    ['2030-01-31T23:59:59Z', 'passive', `skipped: left out ${left}`, []],
    [
      '2030-02-01T00:00:00Z',
      'whole',
      `failed: its skip has expired, it was left out ${left}`,
      ['exposed-files'],
    ],
    // Who was let through by it stays.
    ['2030-02-01T00:00:00Z', 'passive', `skipped: left out ${left}`, []],
  ])('at %s, %s: %s', async (date, part, said, bad) => {
    expect(await asked(date, part)).toEqual([said, bad])
  })
})

describe('through the live URL', () => {
  test.each<[string, number, string[]]>([
    ['one lost request', 1, []],
    ['one 429 of a firewall', 429, []],
    ['one 503', 503, []],
  ])('%s is asked again, and moves nobody back', async (_, how, expected) => {
    const app = application(new Set())
    let asked = 0
    await using users = await serve((call) => {
      // The first answer is the one that tells whether anybody is there.
      if (++asked !== 12) return app(call)
      if (how === 1) throw new Error('gone')
      return { status: how }
    })
    const ran = await check(users.url, settings({ rate: 200 }), { part: 'passive' })
    expect(objected(ran)).toEqual(expected)
  })

  test('what is not answered twice is no pass', async () => {
    const app = application(new Set())
    await using users = await serve((call) => (call.path === '/.env' ? { status: 429 } : app(call)))
    const ran = await check(users.url, settings(), { part: 'passive' })
    expect(objected(ran)).toEqual(['exposed-files'])
    expect(seen(ran, 'exposed-files')).toMatch(/^inconclusive: .*answered 429/)
    // Only that is asked again.
    expect(users.requests.filter((request) => request === 'GET /metrics')).toHaveLength(1)
    expect(users.requests.filter((request) => request === 'GET /.env')).toHaveLength(2)
  })

  test('a weakness that the second look finds counts', async () => {
    const app = application(new Set())
    let asked = 0
    await using users = await serve((call) => {
      if (call.path !== '/.env') return app(call)
      return ++asked === 1 ? { status: 503 } : { body: 'DB_PASSWORD=hunter2' }
    })
    const ran = await check(users.url, settings({ failOn: 'medium' }), { part: 'passive' })
    expect(seen(ran, 'exposed-files')).toStartWith('failed: critical: GET /.env')
  })
})
