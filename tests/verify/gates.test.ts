import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { objections, type CheckResult, type Gate, type Target, type Verdict } from '../../lib/check.ts'
import { loadEnvironment } from '../../lib/settings/load.ts'
import type { Environment } from '../../lib/settings/file.ts'
import { choiceOf, gatesOf, suite, type Kind } from '../../verify/gates.ts'
import { keptCheck } from '../../verify/smoke.ts'

const folder = mkdtempSync(join(tmpdir(), 'gates-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

let count = 0
const target = (): Target => ({
  url: 'http://127.0.0.1:1',
  verification: 'v',
  evidence: join(folder, String(++count)),
})
const never = new AbortController().signal
const LONG = 600_000

const result = (gate: string, verdict: Verdict = 'passed'): CheckResult => ({
  gate,
  name: 'one',
  verdict,
  ms: 1,
  expected: 'good',
  seen: verdict,
})

/** Gates that say when they began and ended. */
function recording(verdicts: Partial<Record<Kind, Verdict>> = {}) {
  const events: string[] = []
  const gate =
    (kind: Kind): Gate =>
    async () => {
      events.push(`${kind} begins`)
      await Bun.sleep(5)
      events.push(`${kind} ends`)
      return [result(kind, verdicts[kind])]
    }
  const all = ['smoke', 'performance', 'ui', 'security', 'page-quality'] as const
  return { events, gates: Object.fromEntries(all.map((kind) => [kind, gate(kind)])) }
}

const seen = (results: readonly CheckResult[]) =>
  results.map(({ gate, verdict, seen }) => [gate, verdict, seen])

const hangs: Gate = (_, signal) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

const telling =
  (state: string): Gate =>
  async (_, __, progress) => {
    progress?.(state)
    await Bun.sleep(5)
    return [result('any')]
  }

describe('a suite', () => {
  test('performance never runs beside anything, the browser and the probes run side by side', async () => {
    const { events, gates } = recording()
    expect(objections(await suite(gates, LONG)(target(), never))).toEqual([])
    const at = (event: string): number => events.indexOf(event)
    expect(events.slice(0, 4)).toEqual([
      'smoke begins',
      'smoke ends',
      'performance begins',
      'performance ends',
    ])
    expect(at('security begins')).toBeLessThan(at('ui ends'))
    expect(at('ui begins')).toBeLessThan(at('security ends'))
    expect(events.slice(-2)).toEqual(['page-quality begins', 'page-quality ends'])
  })

  test.each<Verdict>(['failed', 'inconclusive'])(
    'nothing is loaded onto what smoke says has %s',
    async (verdict) => {
      const { events, gates } = recording({ smoke: verdict })
      expect(seen(await suite(gates, LONG)(target(), never))).toEqual([['smoke', verdict, verdict]])
      expect(events).toEqual(['smoke begins', 'smoke ends'])
    },
  )

  test('one kind that fails keeps no other from being told', async () => {
    const { gates } = recording({ performance: 'failed', ui: 'failed' })
    const results = await suite(gates, LONG)(target(), never)
    expect(results.map(({ gate, verdict }) => `${gate} ${verdict}`)).toEqual([
      'smoke passed',
      'performance failed',
      'ui failed',
      'security passed',
      'page-quality passed',
    ])
  })

  test('S6: a kind that breaks, or says nothing, is inconclusive and never passed', async () => {
    const gates = {
      ui: () => Promise.reject(new Error('the browser crashed')),
      security: () => Promise.resolve([]),
      'page-quality': () => {
        throw new TypeError('undefined is not a function')
      },
    }
    const results = await suite(gates, LONG)(target(), never)
    expect(seen(results)).toEqual([
      ['ui', 'inconclusive', 'the browser crashed'],
      ['security', 'inconclusive', 'no check ran'],
      ['page-quality', 'inconclusive', 'undefined is not a function'],
    ])
  })

  test('S6: one deadline ends all, and what had no time is inconclusive', async () => {
    const results = await suite({ performance: hangs, ui: () => Promise.resolve([result('ui')]) }, 50)(
      target(),
      never,
    )
    expect(seen(results)).toEqual([
      ['performance', 'inconclusive', 'no verdict: all checks together have 50 ms'],
      ['ui', 'inconclusive', 'no verdict: all checks together have 50 ms'],
    ])
  })

  test('evidence that an interrupted run leaves behind holds no secret', async () => {
    const stop = new AbortController()
    const where = target()
    const writes: Gate = async ({ evidence }, signal) => {
      await Bun.write(join(evidence, 'performance.json'), 'GET /?key=of-the-door')
      stop.abort(new Error('SIGINT'))
      signal.throwIfAborted()
      return []
    }
    const run = suite({ performance: writes }, LONG, ['of-the-door'])(where, stop.signal)
    expect(run).rejects.toThrow('SIGINT')
    await run.catch(() => {})
    expect(readFileSync(join(where.evidence, 'performance.json'), 'utf8')).toBe('GET /?key=***')
  })

  test('an interrupt is no verdict', async () => {
    const stop = new AbortController()
    const gate: Gate = () => {
      stop.abort(new Error('SIGINT'))
      return Promise.reject(new Error('stopped'))
    }
    expect(suite({ smoke: gate }, LONG)(target(), stop.signal)).rejects.toThrow('SIGINT')
  })

  test('says what each of several is at', async () => {
    const told: string[] = []
    await suite({ ui: telling('3 of 8'), security: telling('security: 4 of 20') }, LONG)(
      target(),
      never,
      (state) => told.push(state),
    )
    expect(told).toEqual(['ui: 3 of 8', 'ui: 3 of 8, security: 4 of 20'])
  })

  test('leaves its results as JSON and JUnit XML', async () => {
    const where = target()
    const results = await suite(recording({ ui: 'failed' }).gates, LONG)(where, never)
    expect(JSON.parse(readFileSync(join(where.evidence, 'checks.json'), 'utf8'))).toEqual(results)
    expect(readFileSync(join(where.evidence, 'junit.xml'), 'utf8')).toContain(
      '<failure message="expected good, saw failed"/>',
    )
  })
})

const declared = loadEnvironment(`${import.meta.dir}/../lib/deploy.yaml`, 'test', {})
const all: Environment = {
  ...loadEnvironment(`${import.meta.dir}/../../deploy.yaml`, 'staging', {}),
  url: 'http://127.0.0.1:1',
}

describe('the gates of an environment', () => {
  test('are what deploy.yaml declares', () => {
    expect(gatesOf(declared).names).toEqual(['smoke'])
    expect(gatesOf(all).names).toEqual(['smoke', 'performance', 'ui', 'security', 'page-quality'])
    expect(gatesOf({ ...all, ui: false, pageQuality: undefined }).names).toEqual([
      'smoke',
      'performance',
      'security',
    ])
  })

  test('S6: an environment without any check never passes', async () => {
    const none: Environment = { ...declared, smoke: [], witness: { ...declared.witness, color: undefined } }
    expect(gatesOf(none).names).toEqual([])
    expect(objections(await gatesOf(none).preview(target(), never))).toMatchObject([
      { verdict: 'inconclusive' },
    ])
  })

  test('--only asks for what is declared, and for nothing else', () => {
    expect(gatesOf(all, { only: ['security'] }).names).toEqual(['security'])
    expect(() => gatesOf(declared, { only: ['ui'] })).toThrow('deploy.yaml declares no ui for test')
  })

  test('--skip is in the results with its reason, also through the live URL', async () => {
    const gates = gatesOf(all, {
      only: ['security', 'ui'],
      skip: ['security', 'ui'],
      reason: 'no browser here',
    })
    expect(gates.names).toEqual(['ui (skipped)', 'security (skipped)'])
    expect(seen(await gates.preview(target(), never))).toEqual([
      ['ui', 'skipped', 'left out: no browser here'],
      ['security', 'skipped', 'left out: no browser here'],
    ])
    expect(seen(await gates.live(target(), never))).toEqual([
      ['security', 'skipped', 'left out: no browser here'],
    ])
  })

  test('security has something to note only where it is declared and asked for', () => {
    expect(gatesOf(declared)).not.toHaveProperty('note')
    expect(gatesOf(all)).toHaveProperty('note')
    expect(gatesOf(all, { skip: ['security'], reason: 'no time' })).not.toHaveProperty('note')
  })

  test('after going back, a release is not judged by checks that it never knew', async () => {
    const results = await gatesOf(all).back()(target(), never)
    expect(new Set(results.map(({ gate }) => gate))).toEqual(new Set(['smoke']))
  })

  describe('where it is known what it went live with', () => {
    const expected = { status: 200, within: 5000 }
    const now = { name: 'today', method: 'GET' as const, path: '/', headers: {}, expect: expected }
    const before = { ...now, name: 'as it was' }
    const sends = { ...now, name: 'with a key', headers: { 'x-key': 's3cret' } }
    const today = { ...all, smoke: [now] }

    test('that is asked, and not what today says', async () => {
      const results = await gatesOf(today).back([keptCheck(before)])(target(), never)
      const names = results.map(({ name }) => name)
      expect(names).toContain('as it was')
      expect(names).not.toContain('today')
    })

    test('nothing of it is asked where smoke is skipped', async () => {
      const gates = gatesOf(today, { skip: ['smoke'], reason: 'no time' })
      expect(seen(await gates.back([keptCheck(before)])(target(), never))).toEqual([
        ['smoke', 'skipped', 'left out: no time'],
      ])
    })

    test('what cannot be asked again is left out; where nothing is left, that is said and no reason to stay', async () => {
      const nameless = { ...today, witness: { ...all.witness, color: undefined } }
      const results = await gatesOf(nameless).back([keptCheck(sends)])(target(), never)
      expect(results).toMatchObject([
        { verdict: 'skipped', seen: 'left out: it went live without a check that can be asked again' },
      ])
    })

    test('the plan keeps what it goes live with, unless smoke is skipped', () => {
      expect(gatesOf(today).kept).toEqual([keptCheck(now)])
      expect(gatesOf(today, { skip: ['smoke'], reason: 'no time' }).kept).toEqual([])
    })
  })
})

describe('single checks that are left out', () => {
  const skip = { reason: 'the proxy answers 503', expires: '2999-01-31' }
  const [first, ...rest] = all.smoke
  const some: Environment = {
    ...all,
    smoke: [{ ...first!, skip }, ...rest],
    security: { ...(all.security || undefined)!, skip: [{ id: 'host-header', ...skip }] },
  }

  test('stand in the plan, with their reason and their end', () => {
    expect(gatesOf(some, { only: ['smoke', 'security'] }).names).toEqual([
      `smoke, without ${first?.name} until 2999-01-31 (the proxy answers 503)`,
      'security, without host-header until 2999-01-31 (the proxy answers 503)',
    ])
    const none = { only: ['smoke', 'security'], skip: ['smoke', 'security'], reason: 'no time' } as const
    expect(gatesOf(some, none).names).toEqual(['smoke (skipped)', 'security (skipped)'])
  })

  test('are no part of what a release went live with', () => {
    expect(gatesOf(some).kept).toEqual(rest.map((check) => keptCheck(check)))
  })

  test('are in the results, before the switch, after it and after going back', async () => {
    const gates = gatesOf(
      { ...some, smoke: some.smoke.slice(0, 1), witness: declared.witness },
      { only: ['smoke'] },
    )
    for (const gate of [gates.preview, gates.live, gates.back()]) {
      const [result] = await gate(target(), never)
      expect(result).toMatchObject({
        verdict: 'skipped',
        seen: 'left out until 2999-01-31: the proxy answers 503',
      })
    }
  })

  test('for too long keep a release from users, and nobody on one that is left', async () => {
    const late = { ...first!, skip: { ...skip, expires: '2020-01-31' } }
    const gates = gatesOf({ ...all, smoke: [late] }, { only: ['smoke'] })
    expect(objections(await gates.preview(target(), never))).toMatchObject([
      { name: first?.name, seen: expect.stringContaining('its skip has expired') },
    ])
    for (const gate of [gates.live, gates.back(), gates.back([keptCheck(late)])]) {
      const results = await gate(target(), never)
      expect(results.find(({ name }) => name === first?.name)).toMatchObject({ verdict: 'skipped' })
    }
  })
})

test('what an application says is no command to GitHub’s runner, and nothing that a terminal obeys', async () => {
  const said = { ...result('ui'), seen: '##[add-mask]a \u001B[31mred\u202E' }
  expect(await suite({ ui: () => Promise.resolve([said]) }, LONG)(target(), never)).toMatchObject([
    { seen: '## [add-mask]a red' },
  ])
})

test.each([
  [{ only: 'smoke, ui' }, { only: ['smoke', 'ui'] }],
  [
    { skip: 'ui', reason: 'no browser' },
    { skip: ['ui'], reason: 'no browser' },
  ],
  [{}, {}],
])('%j is %j', (flags, choice) => {
  expect(choiceOf(flags)).toMatchObject(choice)
})

test.each([
  [{ only: 'smok' }, '--only names smoke, performance, ui, security, page-quality, not "smok"'],
  [{ only: '' }, '--only names smoke, performance, ui, security, page-quality, not ""'],
  [{ skip: 'ui' }, '--skip needs --reason: it goes into the record'],
  [{ skip: 'ui', reason: ' ' }, '--reason is empty'],
])('%j is wrong usage', (flags, message) => {
  expect(() => choiceOf(flags)).toThrow(expect.objectContaining({ message, exitCode: 2 }))
})
