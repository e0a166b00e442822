/** What a Prometheus, and a pod, can answer instead of figures; none of it is taken for an alarm, or for "all is well". */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { systemClock } from '../../../lib/clock.ts'
import type { World } from '../../../lib/cluster/world.ts'
import type { Output } from '../../../lib/command.ts'
import type { Snapshot } from '../../../lib/monitor/source.ts'
import { sourceOf } from '../../../lib/monitor/sources.ts'
import { bake } from '../../../lib/settings/bake.ts'
import { refused } from '../cluster.ts'
import { APP } from '../objects.ts'
import { rehearse, running } from '../world.ts'

setDefaultTimeout(30_000)

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

type Series = [labels: Record<string, string>, value: number | string]

const answer = (series: readonly Series[], about: object = {}): Response =>
  Response.json({
    status: 'success',
    data: {
      resultType: 'vector',
      result: series.map(([metric, value]) => ({ metric, value: [1000, String(value)] })),
    },
    ...about,
  })

const figure = (pod: string, what: string, value: number | string, more = {}): Series => [
  { pod, color: 'green', figure: what, ...more },
  value,
]

/** A pod as its counters stand when it has been read for the `scrape`th time. */
const figures = (scrape: number, pod = 'p'): Series[] => [
  figure(pod, 'errors/all', 100 * scrape),
  figure(pod, 'errors/bad', scrape),
  figure(pod, 'errors/at', 900 + 15 * scrape),
  figure(pod, 'errors/readers', 1),
]
const now = (scrape: number): Series => [{ figure: 'now' }, 905 + 15 * scrape]

/** What a pod does not count, another may. */
const ones = (scrape: number): Series[] => [
  figure('p', 'errors/all', 50),
  figure('p', 'errors/at', 900 + 15 * scrape),
  figure('p', 'slow/all', 50),
  figure('new', 'start/at', 900 + 15 * scrape),
  figure('q', 'slow/all', 10),
  figure('q', 'slow/good', 4),
  figure('q', 'databaseErrors/bad', 7),
  figure('q', 'start/at', 900 + 15 * scrape),
]

/** Stands in for Prometheus, from the moment when it is watched on as a test wants. */
function prometheus(looks: (scrape: number) => Response | Promise<Response>) {
  const seen = { queries: [] as string[], scrape: 0, tokens: [] as (string | null)[] }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 30,
    fetch: async (request) => {
      const query = new URLSearchParams(await request.text()).get('query') ?? ''
      seen.tokens.push(request.headers.get('authorization'))
      if (query.includes('count({__name__')) return answer([[{ figure: '0' }, 3]])
      if (query.includes('increase(')) return answer([[{ marked: 'yes' }, 1]])
      seen.queries.push(query)
      return await looks(++seen.scrape)
    },
  })
  closing.push(() => server.stop(true))
  return { seen, url: server.url.href }
}

/** Pods say nothing, if a test does not let them. */
function worldOf(
  settings: object,
  raw: (line: string) => Output | Promise<Output> = () => refused('no pods here'),
): World {
  const rehearsal = rehearse()
  closing.push(() => rehearsal[Symbol.asyncDispose]())
  const { cluster, world } = rehearsal
  running(cluster, { green: '1.1.0' }, 'green')
  cluster.intercept = async (line) => (line.includes('/proxy/') ? await raw(line) : undefined)
  return {
    ...world,
    environment: { ...world.environment, bake: bake.parse({ every: '2s', ...settings }) },
    clock: systemClock,
  }
}

const good = (scrape: number): Response => answer([now(scrape), ...figures(scrape)])

describe('what Prometheus answers', () => {
  test('is each pod’s counters, and when they were read; one question for a look', async () => {
    const { seen, url } = prometheus(good)
    const { source, slow, notCovered } = await sourceOf(worldOf({ prometheus: url }))
    const before = Date.now()
    const found = await source.look()
    expect(found).toEqual({
      at: expect.any(Number),
      pods: [{ pod: 'p', color: 'green', counters: { errors: { total: 200, bad: 2 } }, gauges: {} }],
    })
    // It was read 5 s before it was asked for, by Prometheus' clock, whatever that says.
    expect((found as Snapshot).at).toBeWithin(before - 5001, Date.now() - 4999)
    expect(slow).toBe(0.5)
    expect(notCovered).toEqual([
      'Whether requests take longer than 0.5 s (slow): no pod counts that',
      'Whether database operations fail (databaseErrors): no pod counts that',
    ])
    expect(seen.queries).toHaveLength(2)
  })

  test('200 pods, and indicators of the team’s own, are one question, too', async () => {
    const pods = Array.from({ length: 200 }, (_, index) => `p${index}`)
    const { seen, url } = prometheus((scrape) =>
      answer([now(scrape), ...pods.flatMap((pod) => figures(scrape, pod))]),
    )
    const own = { all: 'a{color=~"{{color}}"}', bad: 'b{app="{{app}}"}', most: 0.1 }
    const { source } = await sourceOf(worldOf({ prometheus: url, indicators: { mine: own, mineToo: own } }))
    const asked = seen.queries.length
    const found = await source.look()
    expect('pods' in found && found.pods.length).toBe(200)
    expect(seen.queries.length - asked).toBe(1)
    expect(seen.queries.at(-1)).toContain(`sum by (pod, color) (b{app="${APP}"})`)
  })

  test('no failures are none only where requests are counted; no good ones say nothing', async () => {
    const { url } = prometheus((scrape) => answer([now(scrape), ...ones(scrape)]))
    const found = await (await sourceOf(worldOf({ prometheus: url }))).source.look()
    expect('pods' in found && found.pods.map(({ pod, counters }) => [pod, counters])).toEqual([
      ['p', { errors: { total: 50, bad: 0 } }],
      ['new', { errors: { total: 0, bad: 0 }, slow: { total: 0, bad: 0 } }],
      ['q', { errors: { total: 0, bad: 0 }, slow: { total: 10, bad: 6 } }],
    ])
  })

  test('a pod that has not been read for long has gone', async () => {
    const { url } = prometheus((scrape) =>
      answer([
        now(scrape),
        ...figures(scrape),
        figure('old', 'errors/all', 5),
        figure('old', 'errors/at', 800),
      ]),
    )
    const found = await (await sourceOf(worldOf({ prometheus: url }))).source.look()
    expect('pods' in found && found.pods.map(({ pod }) => pod)).toEqual(['p'])
  })

  test('what it is told of, a token, stands in no sentence', async () => {
    process.env['TEST_PROMETHEUS_TOKEN'] = 'very-secret'
    closing.push(() => delete process.env['TEST_PROMETHEUS_TOKEN'])
    const { seen, url } = prometheus(() => new Response('no', { status: 403 }))
    const figured = await sourceOf(worldOf({ prometheus: url, token: 'TEST_PROMETHEUS_TOKEN' }))
    const found = await figured.source.look()
    expect(new Set(seen.tokens)).toEqual(new Set(['Bearer very-secret']))
    expect(JSON.stringify([figured, found])).not.toContain('very-secret')
  })

  test('without the token that is named it is not asked, and that is said', async () => {
    const { seen, url } = prometheus(good)
    const { notCovered } = await sourceOf(worldOf({ prometheus: url, token: 'NOT_SET' }))
    expect(notCovered[0]).toStartWith(
      'Prometheus cannot be asked: the environment variable NOT_SET (bake.token) is not set',
    )
    expect(seen.tokens).toEqual([])
  })
})

const many = (count: number, of: (index: number) => Series): Series[] =>
  Array.from({ length: count }, (_, index) => of(index))

describe('what is unknown', () => {
  test.each<[string, (scrape: number) => Response | Promise<Response>, string]>([
    ['500', () => new Response('', { status: 500 }), 'answered with HTTP 500 and something else'],
    [
      'HTML',
      () => new Response('<html><h1>Sign in', { status: 200 }),
      'answered with HTTP 200 and something else: <html>',
    ],
    ['a redirect', () => Response.redirect('https://login.example.com/', 302), 'answered with HTTP 302'],
    ['nothing', () => new Response(''), 'answered with HTTP 200 and something else'],
    [
      'half of an answer',
      () => new Response('{"status":"success","data":{"resultType":"vec'),
      'something else',
    ],
    [
      'a refusal',
      () => Response.json({ status: 'error', errorType: 'bad_data', error: 'parse error' }, { status: 400 }),
      'refused the query (HTTP 400): parse error',
    ],
    [
      'another type',
      () => Response.json({ status: 'success', data: { resultType: 'scalar', result: [1000, '1'] } }),
      'something else',
    ],
    [
      'a good answer of a bad status',
      (n) => new Response(good(n).body, { status: 503 }),
      'answered with HTTP 503',
    ],
    ['no series', () => answer([]), 'does not say what time it is'],
    ['no pod', (n) => answer([now(n)]), 'has read no pod of late'],
    [
      'NaN',
      (n) => answer([now(n), ...figures(n), figure('q', 'errors/all', 'NaN')]),
      'counts NaN as errors/all of q',
    ],
    [
      'infinitely many',
      (n) => answer([now(n), figure('q', 'errors/all', '+Inf')]),
      'counts NaN as errors/all of q',
    ],
    [
      'fewer than none',
      (n) => answer([now(n), figure('q', 'errors/all', -1)]),
      'counts -1 as errors/all of q',
    ],
    [
      'warnings',
      (n) => answer([now(n), ...figures(n)], { warnings: ['partial response: store gone'] }),
      'warns: partial response: store gone',
    ],
    [
      'a second series',
      (n) => answer([now(n), ...figures(n), figure('p', 'errors/all', 1)]),
      'has several series for errors/all of p, where one is expected',
    ],
    [
      'a pod of two colors',
      (n) => answer([now(n), ...figures(n), figure('p', 'slow/all', 1, { color: 'blue' })]),
      'has several series for slow/all of p',
    ],
    [
      'two readers of a pod',
      (n) => answer([now(n), ...figures(n).slice(0, 3), figure('p', 'errors/readers', 2)]),
      'has the counters of p from 2 readers, where one is expected',
    ],
    [
      'labels that were not asked for',
      (n) => answer([now(n), ...figures(n), figure('p', 'slow/all', 1, { job: 'a' })]),
      'gave a series that was not asked for',
    ],
    [
      'a series of no pod',
      (n) => answer([now(n), [{ figure: 'errors/all', color: 'green' }, 4]]),
      'has errors/all without the label "pod"',
    ],
    [
      '10,000 pods',
      (n) => answer([now(n), ...many(10_000, (i) => figure(`p${i}`, 'errors/all', 1))]),
      'tells of 10,000 pods',
    ],
    [
      '10,000 series of something else',
      (n) => answer([now(n), ...many(10_000, (i) => [{ __name__: 'x', i: `${i}` }, 1])]),
      'gave a series that was not asked for',
    ],
    ['100,000 series', () => answer(many(100_000, () => [{}, 1])), 'answered with 100,000 series'],
    ['9 MB', () => new Response('x'.repeat(9_000_000)), 'answered with more than 8 MB'],
    [
      'nothing, for long',
      () => new Promise<Response>(() => {}),
      'does not answer: no whole answer within 1 s',
    ],
  ])('%s', async (_, looks, sentence) => {
    let bad = false
    const { url } = prometheus((scrape) => (bad ? looks(scrape) : good(scrape)))
    const { source } = await sourceOf(worldOf({ prometheus: url }))
    bad = true
    const started = performance.now()
    const found = await source.look()
    expect(found).toEqual({ unknown: expect.stringContaining(sentence) })
    expect(found).toEqual({ unknown: expect.stringMatching(/^Prometheus .*\. Pod chat-green/s) })
    expect(performance.now() - started).toBeLessThan(5000)
    expect(await source.past('green', { from: 0, to: 1000 })).toEqual({})
  })

  test.each([
    ['figures that were there before', 2, 'has read no pod since it was asked last'],
    ['figures older than those', 1, 'answered with older figures than before'],
  ])('%s', async (_, third, sentence) => {
    const { url } = prometheus((scrape) => good(scrape === 3 ? third : scrape))
    const { source } = await sourceOf(worldOf({ prometheus: url }))
    expect(await source.look()).toHaveProperty('pods')
    expect(await source.look()).toEqual({ unknown: expect.stringContaining(sentence) })
    expect(await source.look()).toHaveProperty('pods')
  })
})

const METRICS = `# HELP x y
http_request_duration_seconds_count{method="GET",route="/",status="200"} 90
http_request_duration_seconds_count{method="GET",route="/",status="503"} 10
http_request_duration_seconds_count{method="GET",route="/health",status="200"} 1000
http_request_duration_seconds_count{method="GET",route="/",status="500",verification="true"} 7
http_request_duration_seconds_bucket{le="0.1",route="/",status="200"} 60
http_request_duration_seconds_bucket{le="0.25",route="/",status="200"} 96
http_request_duration_seconds_bucket{le="+Inf",route="/",status="200"} 100
process_resident_memory_bytes 5e7
`
const said = (stdout: string): Output => ({ stdout, stderr: '', exitCode: 0 })

describe('the pods themselves', () => {
  const settings = { metrics: { port: 9091 } }

  test('are asked by way of the API server, and count as Prometheus would', async () => {
    const lines: string[] = []
    const world = worldOf(settings, (line) => (lines.push(line), said(METRICS)))
    const { source, slow, notCovered } = await sourceOf(world)
    expect(slow).toBe(0.25)
    const found = await source.look()
    const counters = { errors: { total: 100, bad: 10 }, slow: { total: 100, bad: 4 } }
    expect(found).toEqual({
      at: expect.any(Number),
      pods: ['chat-green.1.0', 'chat-green.1.1'].map((pod) => ({
        pod,
        color: 'green',
        counters,
        gauges: { memory: 5e7 },
      })),
    })
    expect(lines[0]).toBe('get --raw=/api/v1/namespaces/chat-test/pods/chat-green.1.0:9091/proxy/metrics')
    expect(notCovered).toEqual([
      'Whether database operations fail (databaseErrors): no pod counts that',
      'What was normal before: nothing is kept without Prometheus',
    ])
  })

  test('a resumed bake finds the same requests slow', async () => {
    const { slow } = await sourceOf(
      worldOf(settings, () => said(METRICS)),
      { slow: 0.1 },
    )
    expect(slow).toBe(0.1)
  })

  test('take over where Prometheus ends, and it only when it has read all of them since', async () => {
    let scrape = 1
    let down = false
    const { url } = prometheus(() => (down ? new Response('', { status: 502 }) : good(scrape)))
    const { source } = await sourceOf(worldOf({ ...settings, prometheus: url }, () => said(METRICS)))
    const of = async (): Promise<string> => {
      const found = await source.look()
      return 'pods' in found ? (found.pods[0]?.pod ?? '') : found.unknown
    }
    expect(await of()).toBe('p')
    down = true
    expect(await of()).toBe('chat-green.1.0')
    down = false
    scrape = 2 // read 5 s ago, which is before the pods were asked
    expect(await of()).toBe('chat-green.1.0')
  })

  test('what one does not say is not counted, and the others are', async () => {
    const world = worldOf(settings, (line) =>
      line.includes('1.1:') ? refused('connection refused') : said(METRICS),
    )
    const found = await (await sourceOf(world)).source.look()
    expect('pods' in found && found.pods.map(({ pod }) => pod)).toEqual(['chat-green.1.0'])
  })

  test.each<[string, () => Output | Promise<Output>, string]>([
    ['nothing', () => said(''), 'What pod chat-green.1.0 has at :9091/metrics is empty'],
    ['HTML', () => said('<html>'), 'cannot be read: line 1 is "<html>"'],
    ['half a line', () => said('a 1\nb{c="d" 2'), 'cannot be read: line 2 is'],
    ['the same twice', () => said('a{x="1",y="2"} 1\na{y="2",x="1"} 2'), 'has one series twice: line 2'],
    ['60,000 lines', () => said('a 1\n'.repeat(60_000)), 'has 60,001 lines'],
    [
      'a refusal',
      () => refused('Error from server (Forbidden): pods "x" is forbidden: cannot get resource "pods/proxy"'),
      'These credentials may not get pods/proxy in chat-test, by which pods',
    ],
    [
      'an error',
      () =>
        refused('Error from server (ServiceUnavailable): error trying to reach service: connection refused'),
      'Pod chat-green.1.0 has no metrics at :9091/metrics: Error from server (Serv',
    ],
    [
      'nothing in time',
      () => ({ stdout: '', stderr: '', exitCode: 124 }),
      'Pod chat-green.1.0 says nothing at :9091/metrics in time',
    ],
  ])('%s is unknown', async (_, raw, sentence) => {
    const { source, notCovered } = await sourceOf(worldOf(settings, raw))
    expect(await source.look()).toEqual({ unknown: expect.stringContaining(sentence) })
    expect(notCovered.join('\n')).toContain(sentence)
  })

  test('of more than are asked some are left out, of each color, and that is said', async () => {
    const lines: string[] = []
    const rehearsal = rehearse()
    closing.push(() => rehearsal[Symbol.asyncDispose]())
    const pods = ['blue', 'green'].flatMap((color) =>
      many(100, (index) => [{ pod: `${color}-${index}`, color }, 0]).map(([{ pod, color: own }]) => ({
        kind: 'Pod',
        metadata: { name: pod, namespace: 'test', labels: { color: own } },
        status: { phase: 'Running' },
      })),
    )
    rehearsal.cluster.intercept = (line) =>
      line.includes('/proxy/') ? (lines.push(line), said(METRICS)) : said(JSON.stringify({ items: pods }))
    const environment = { ...rehearsal.world.environment, bake: bake.parse(settings) }
    const { source, notCovered } = await sourceOf({ ...rehearsal.world, environment, clock: systemClock })
    const found = await source.look()
    expect('pods' in found && Map.groupBy(found.pods, ({ color }) => color).get('blue')).toHaveLength(3)
    expect(lines).toHaveLength(2 * 6)
    expect(notCovered).toContain('194 of 200 pods: so many are not asked')
  })
})

test('an interrupt is none of these', async () => {
  const { url } = prometheus(() => new Promise<Response>(() => {}))
  const rehearsal = rehearse()
  closing.push(() => rehearsal[Symbol.asyncDispose]())
  const environment = { ...rehearsal.world.environment, bake: bake.parse({ prometheus: url }) }
  const asking = sourceOf({ ...rehearsal.world, environment, clock: systemClock })
  setTimeout(rehearsal.interrupt, 100)
  expect(asking).rejects.toThrow('Interrupted')
  await asking.catch(() => {})
})
