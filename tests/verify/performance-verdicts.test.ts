/** What a run says, run by run: nothing here measures anything. */
import { describe, expect, test } from 'bun:test'
import { performance as settingsOf } from '../../lib/settings/gates.ts'
import { judge } from '../../verify/performance.ts'
import type { Load, Sample } from '../../verify/performance/lane.ts'
import { failures, figures } from '../../verify/performance/summary.ts'
import { generator } from '../../verify/performance/verdicts.ts'
import { seeded } from './random.ts'

const defaults = settingsOf.parse({})

/** A run of so many requests at 50 a second, each of which `of` says more about; a good one takes 10 ms. */
function load(
  count: number,
  of: (i: number) => Partial<Sample> = () => ({}),
  more: Partial<Load> = {},
): Load {
  const samples = Array.from({ length: count }, (_, i): Sample => ({
    endpoint: 0,
    due: i * 20,
    lag: 0.5,
    latency: 10,
    connection: i % 20,
    ...of(i),
  }))
  return {
    samples,
    due: count,
    sentInTime: count,
    dropped: 0,
    connections: 20,
    elapsed: count * 20,
    ...more,
  }
}

interface Given {
  settings?: Parameters<typeof settingsOf.parse>[0]
  live?: Load
  forwarded?: boolean
  pods?: number
}

/** What the run says: `passed`, or the verdict with what was seen. */
function says(idle: Load, { settings, live, forwarded = false, pods }: Given = {}): Record<string, string> {
  const parsed = settingsOf.parse(settings ?? {})
  const run = { idle, live, settings: parsed, generator: generator(parsed, { idle, live }), forwarded, pods }
  return Object.fromEntries(
    judge(run).map(({ name, verdict, seen }) => [
      name,
      verdict === 'passed' ? verdict : `${verdict}: ${seen}`,
    ]),
  )
}

const allPassed = {
  'rate delivered': 'passed',
  dropped_iterations: 'passed',
  'http_req_failed rate<0.01': 'passed',
  'http_req_duration p(50)<100': 'passed',
  'http_req_duration p(90)<250': 'passed',
  'http_req_duration p(99)<500': 'passed',
  'no pod slower than the others': 'passed',
}
const COMPARED = 'not slower than the live color'
const REFUSED = 'status 500'
const LATE = 'no whole answer within 5 s'
const ALIKE = 'no pod slower than the others'
const every = (n: number, then: Partial<Sample>) => (i: number) => (i % n === 0 ? then : {})

describe('the defaults', () => {
  test('have enough requests for every threshold', () => {
    expect((defaults.rate * defaults.duration) / 1000).toBe(1000)
    expect(says(load(1000))).toEqual(allPassed)
    expect(says(load(1000), { live: load(1000) })).toEqual({ ...allPassed, [COMPARED]: 'passed' })
  })

  test('naming one kind of threshold does not turn the other off', () => {
    const { thresholds } = settingsOf.parse({ thresholds: { http_req_duration: ['p(99)<9'] } })
    expect(thresholds.http_req_failed.map(({ text }) => text)).toEqual(['rate<0.01'])
    expect(settingsOf.parse({ thresholds: { http_req_failed: [] } }).thresholds.http_req_failed).toEqual([])
  })
})

describe('errors', () => {
  test('one in 1,000 is kept; one in 100 is not, and nothing else is blamed for it', () => {
    expect(says(load(1000, every(1000, { failure: REFUSED })))).toEqual(allPassed)
    expect(says(load(1000, every(100, { failure: REFUSED })))).toEqual({
      ...allPassed,
      'http_req_failed rate<0.01': 'failed: 10 of 1000 requests failed: 10 × status 500',
    })
  })

  test('quick errors do not make a slow target look fast', () => {
    const seen = says(load(1000, (i) => (i % 10 < 4 ? { failure: REFUSED } : { latency: 900 })))
    expect(seen['http_req_duration p(50)<100']).toBe('failed: 900 ms over 600 requests')
  })

  test('what is never answered is slow, and failed', () => {
    expect(says(load(1000, () => ({ failure: LATE, late: true, latency: 5001 })))).toMatchObject({
      'http_req_failed rate<0.01': `failed: 1000 of 1000 requests failed: 1000 × ${LATE}`,
      'http_req_duration p(50)<100': expect.stringMatching(/^failed: 500\d ms/),
    })
  })

  test('when nothing is answered, with error rates turned off, nothing passes for fast', () => {
    const settings = { thresholds: { http_req_failed: [] } }
    const verdicts = says(
      load(1000, () => ({ failure: REFUSED })),
      { settings, live: load(1000) },
    )
    for (const name of ['p(50)<100', 'p(90)<250', 'p(99)<500'].map((text) => `http_req_duration ${text}`))
      expect(verdicts[name]).toBe(
        'inconclusive: only 0 of 1000 requests were answered as expected: 1000 × status 500',
      )
    expect(verdicts[COMPARED]).toStartWith('inconclusive')
  })

  test('few requests are enough to see that they fail, not that they do not', () => {
    const name = 'http_req_failed rate<0.01'
    expect(says(load(50))[name]).toBe('inconclusive: 0 of 50 requests failed, and 100 are needed to tell')
    expect(says(load(99))[name]).toStartWith('inconclusive')
    expect(says(load(100))[name]).toBe('passed')
    expect(says(load(50, every(25, { failure: REFUSED })))[name]).toStartWith('failed')
  })

  test('a run that was stopped says so, and is failed', () => {
    const stopped = 'stopped after 5 s in which all 250 requests failed, the last with: ECONNREFUSED'
    const verdicts = says(load(0, undefined, { stopped }))
    expect(verdicts['http_req_failed rate<0.01']).toBe(`failed: ${stopped}`)
    expect(Object.values(verdicts)).not.toContain('passed')
  })
})

describe('what the evidence counts', () => {
  test('requests, those that failed, and the times of what was answered', () => {
    const { samples } = load(4, (i) => (i === 0 ? { failure: REFUSED } : {}))
    expect(figures(samples)).toMatchObject({ requests: 4, failed: 1, p50: expect.closeTo(10, 1) })
    expect(figures(samples.slice(0, 2))).toMatchObject({ requests: 2, failed: 1, p50: expect.closeTo(10, 1) })
    expect(figures([])).toMatchObject({ requests: 0, failed: 0, p50: Number.NaN, max: Number.NaN })
  })

  test('the most frequent failure is told first', () => {
    const failed = ['rare', 'often', 'middling', 'often', 'middling', 'often'].map((failure) => ({ failure }))
    expect(failures(failed)).toBe('3 × often, 2 × middling, …')
  })
})

describe('a target that is dead', () => {
  const settings = {
    thresholds: { http_req_duration: [], http_req_failed: ['rate<=1'] },
    slowerThanLive: false,
  }

  test.each([
    ['refuses all of them', load(20, () => ({ failure: 'ECONNREFUSED' })), '20 × ECONNREFUSED'],
    [
      'was left alone',
      load(20, () => ({ failure: REFUSED }), { stopped: 'stopped after 5 s' }),
      'stopped after 5 s',
    ],
  ])('%s: passes nothing', (_, idle, why) => {
    expect(says(idle, { settings })['rate delivered']).toBe(`failed: nothing was answered: ${why}`)
  })

  test('settings that leave nothing to judge by are refused', () => {
    const thresholds = { http_req_duration: [], http_req_failed: [] }
    for (const more of [{}, { slowerThanLive: false }])
      expect(settingsOf.safeParse({ thresholds, ...more }).error?.issues[0]).toMatchObject({
        path: ['thresholds'],
        message: expect.stringContaining('one threshold at least'),
      })
    expect(settingsOf.safeParse({ thresholds: { http_req_duration: [] } }).success).toBe(true)
  })
})

const hanging = (part: number) => load(1000, every(1000 / part, { failure: 'status 503', latency: 4900 }))
describe('errors that come late', () => {
  test('are in the percentiles, though the rate of errors is kept', () => {
    const settings = { thresholds: { http_req_failed: ['rate<0.5'] } }
    expect(says(hanging(20), { settings })['http_req_duration p(99)<500']).toMatch(/^failed: 49\d\d ms/)
    expect(says(hanging(200), { settings })['http_req_duration p(90)<250']).toMatch(/^failed: 49\d\d ms/)
  })
})

describe('one pod among others', () => {
  const random = seeded(1)
  /** 1,000 requests over so many connections, of which the first ones lead to a slow pod. */
  const pods = (
    connections: number,
    slow: number,
    times: number,
    more: (i: number) => Partial<Sample> = () => ({}),
  ) =>
    load(1000, (i) => {
      const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
      const connection = i % connections
      return {
        connection,
        latency: (connection < slow ? times : 1) * 20 * Math.exp(0.5 * normal),
        ...more(i),
      }
    })

  test.each([
    ['one of three, three times as slow', 20, 7, 3],
    ['one of ten, twice as slow', 50, 5, 2],
    ['one connection of fifty', 50, 1, 4],
  ])('%s: is noticed in 20 of 20 runs', (_, connections, slow, times) => {
    for (let run = 0; run < 20; run++)
      expect(says(pods(connections, slow, times))[ALIKE]).toMatch(
        /^failed: \d of \d\d connections \(\d+ were opened\): connection \d takes [\d.]+ ms, the others [12]\d\.\d/,
      )
  })

  test('all alike: nothing is said in 100 runs', () => {
    for (let run = 0; run < 100; run++) expect(says(pods(50, 0, 1))[ALIKE]).toBe('passed')
  })

  test('a pod that is named by the application is named', () => {
    const idle = pods(20, 2, 3, (i) => ({ pod: `pod-${i % 10}`, latency: i % 10 === 3 ? 400 : 10 }))
    expect(says(idle, { pods: 10 })[ALIKE]).toBe('failed: 1 of 10 pods: pod-3 takes 400 ms, the others 9.50')
    expect(says(idle, { pods: 12 })[ALIKE]).toBe('inconclusive: 10 of 12 pods answered 8 times')
  })

  test('a request that no pod answered makes no connections of the pods', () => {
    const lost = pods(20, 0, 1, (i) => (i === 500 ? { failure: REFUSED } : { pod: `pod-${i % 3}` }))
    expect(says(lost, { pods: 3 })[ALIKE]).toBe('passed')
    expect(says(lost, { pods: 4 })[ALIKE]).toBe('inconclusive: 3 of 4 pods answered 8 times')
  })

  test.each([
    [16, 'passed'],
    [15, 'inconclusive: 1 of 2 pods answered 8 times'],
  ])('of %d requests that two pods answer in turn', (count, verdict) => {
    expect(
      says(
        load(count, (i) => ({ pod: `pod-${i % 2}` })),
        { pods: 2 },
      )[ALIKE],
    ).toBe(verdict)
  })

  test.each<[string, Load, Given, string]>([
    ['4 ms more are no matter', load(1000, (i) => ({ latency: i % 20 === 3 ? 6 : 2 })), {}, 'passed'],
    ['a pause is no pod', load(1000, (i) => ({ latency: i > 400 && i < 450 ? 900 : 10 })), {}, 'passed'],
    [
      'through a port-forward',
      load(1000),
      { forwarded: true },
      'skipped: not applicable: a port-forward leads to one pod',
    ],
    ['one pod', load(1000), { pods: 1 }, 'skipped: not applicable: one pod'],
    [
      'nothing was kept',
      load(1000, (i) => ({ connection: i })),
      { pods: 3 },
      'inconclusive: fewer than two connections',
    ],
    ['it is not asked', load(1000), { settings: { slowerThanOthers: false } }, 'undefined'],
  ])('%s', (_, idle, given, verdict) => expect(String(says(idle, given)[ALIKE])).toStartWith(verdict))
})

describe('too few requests', () => {
  test('say which duration would do', () => {
    expect(says(load(200), { live: load(200) })).toEqual({
      ...allPassed,
      'http_req_duration p(99)<500':
        'inconclusive: 1000 requests are needed and there were 200: at 50 a second, a duration of 20s suffices',
      [COMPARED]:
        'inconclusive: 250 requests are needed and there were 200: at 50 a second, a duration of 5s suffices',
    })
  })

  test('none at all are no pass of anything', () => {
    for (const settings of [
      {},
      { thresholds: { http_req_duration: ['max<9', 'avg<9'], http_req_failed: ['rate<1'] } },
    ])
      for (const verdict of Object.values(says(load(0), { settings, live: load(0) })))
        expect(verdict).toStartWith('inconclusive')
  })
})

describe('the generator was late', () => {
  test.each([
    [['p(50)<300', 'p(99)<900'], 30],
    [['p(50)<20'], 10],
  ])('with %j it may be so by %d ms: a tenth of the tightest, or 10 ms', (thresholds, allowed) => {
    const settings = settingsOf.parse({ thresholds: { http_req_duration: thresholds } })
    const idle = load(1000, (i) => ({ lag: i === 0 ? 400 : 1 }))
    const kept = generator(settings, { idle })
    expect(kept).toMatchObject({ allowed, lag: { p99: expect.closeTo(1, 1), max: expect.closeTo(400, 0) } })
    // One request of 1,000 is no reason to doubt the rest.
    expect(kept).not.toHaveProperty('objection')
  })

  const lag = every(50, { lag: 60, latency: 70 }) // 2 % of them

  test('what is kept in spite of it is kept', () => {
    expect(says(load(1000, lag), { live: load(1000, lag) })).toEqual({ ...allPassed, [COMPARED]: 'passed' })
  })

  test('what is broken by no more than that is not the target’s', () => {
    const settings = { thresholds: { http_req_duration: ['p(99)<50'] } }
    expect(says(load(1000, lag), { settings })['http_req_duration p(99)<50']).toMatch(
      /^inconclusive: 70.0 ms over 1000 requests; the generator could not keep the rate: it was 60.0 ms late at p99/,
    )
  })

  test('it may have been late twice: in asking, and in noticing the answer', () => {
    const verdicts = says(load(1000, (i) => ({ latency: 160, ...every(50, { lag: 60 })(i) })))
    expect(verdicts['http_req_duration p(50)<100']).toStartWith('inconclusive: 160 ms')
  })

  test('what is broken by far more is', () => {
    const verdicts = says(load(1000, (i) => ({ latency: 800, ...every(50, { lag: 60, latency: 860 })(i) })))
    expect(verdicts['http_req_duration p(50)<100']).toBe('failed: 800 ms over 1000 requests')
  })

  test('a lag that is small beside the thresholds excuses nothing', () => {
    const settings = { thresholds: { http_req_duration: ['p(99)<700'] } }
    const verdicts = says(
      load(1000, (i) => ({ latency: 710, ...every(50, { lag: 60 })(i) })),
      { settings },
    )
    expect(verdicts['http_req_duration p(99)<700']).toBe('failed: 710 ms over 1000 requests')
  })

  test('so late that the rate was not kept: nothing that failed is certain', () => {
    const verdicts = says(load(1000, every(10, { lag: 400, latency: 600 }), { sentInTime: 970 }))
    expect(verdicts['rate delivered']).toStartWith('inconclusive: 48.5 a second')
    expect(verdicts['http_req_duration p(99)<500']).toStartWith('inconclusive: 600 ms')
  })
})

describe('dropped requests', () => {
  const dropped = { due: 1000, sentInTime: 988, dropped: 12 }

  test('are the target’s fault', () => {
    expect(says(load(988, undefined, dropped))).toEqual({
      ...allPassed,
      dropped_iterations: 'failed: 12 of 1000 requests were dropped',
    })
  })

  test('unless the generator was late', () => {
    const { dropped_iterations } = says(load(988, every(50, { lag: 60 }), dropped))
    expect(dropped_iterations).toStartWith('inconclusive: 12 of 1000 requests were dropped; the generator')
  })
})

describe('through a port-forward', () => {
  test('nothing is blamed on the application but errors', () => {
    const slow = load(1000, (i) => (i % 50 === 0 ? { failure: REFUSED } : { latency: 900 }), { dropped: 1 })
    const verdicts = says(slow, { live: load(1000), forwarded: true })
    expect(verdicts['http_req_failed rate<0.01']).toStartWith('failed')
    for (const name of ['http_req_duration p(50)<100', 'dropped_iterations', COMPARED])
      expect(verdicts[name]).toMatch(/^inconclusive: .* through a port-forward/)
  })

  test('a pass says so', () => {
    const idle = load(1000)
    const run = { idle, settings: defaults, generator: generator(defaults, { idle }), forwarded: true }
    const seen = judge(run).filter(({ name }) => name.startsWith('http_req_duration'))
    expect(seen.map(({ verdict, seen }) => `${verdict} ${seen}`)).toEqual(
      Array(3).fill('passed 10.0 ms over 1000 requests, measured through a port-forward'),
    )
  })
})

describe('the live color', () => {
  test.each<[string, Load, RegExp]>([
    [
      'cannot be reached',
      load(227, () => ({ failure: 'ECONNREFUSED' }), { stopped: 'stopped after 5 s' }),
      /^inconclusive: of the live color, stopped after 5 s/,
    ],
    [
      'fails most requests',
      load(1000, (i) => (i % 10 > 2 ? { failure: REFUSED } : {})),
      /^inconclusive: of the live color, only 300 of 1000 requests were answered as expected: 700 × status 500/,
    ],
  ])('%s', (_, live, verdict) => expect(says(load(1000), { live })[COMPARED]).toMatch(verdict))

  test('is not asked about where it was not measured, or is not to be', () => {
    expect(says(load(1000))).not.toHaveProperty(COMPARED)
    expect(says(load(1000), { live: load(1000), settings: { slowerThanLive: false } })).not.toHaveProperty(
      COMPARED,
    )
  })
})

test('every sentence fits a line of a report', () => {
  const bad = load(1000, (i) => ({ failure: `status ${500 + (i % 20)}`, lag: 100 }), {
    dropped: 9,
    sentInTime: 9,
  })
  for (const idle of [bad, load(0), load(10), load(1000, every(2, { latency: 9000 }))]) {
    const run = {
      idle,
      live: bad,
      settings: defaults,
      generator: generator(defaults, { idle }),
      forwarded: false,
    }
    for (const { expected, seen } of judge(run)) {
      expect(expected.length).toBeLessThan(120)
      expect(seen.length).toBeLessThan(220)
      expect(`${expected}${seen}`).not.toMatch(/NaN|undefined|Infinity|\n/)
    }
  }
})
