/** The load and the gate, against servers of known behaviour and the example app. Times are never exact here. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeFromCompressedBase64 } from 'hdr-histogram-js'
import type { z } from 'zod'
import type { Verdict } from '../../lib/check.ts'
import { performance as settingsOf } from '../../lib/settings/gates.ts'
import { performance as performanceGate } from '../../verify/performance.ts'
import { interleaved, putLoad } from '../../verify/performance/load.ts'
import { figures } from '../../verify/performance/summary.ts'
import { generator } from '../../verify/performance/verdicts.ts'
import { startPod } from '../examples/chatbot-platform/process.ts'
import { answer, rawServer } from '../lib/servers.ts'
import { seeded } from './random.ts'

setDefaultTimeout(60_000)

const folder = await mkdtemp(join(tmpdir(), 'performance-test-'))
afterAll(() => rm(folder, { recursive: true }))

type Settings = z.input<typeof settingsOf>
const never = new AbortController().signal
const quick = { rate: 100, duration: '2s', warmup: '200ms' }
const lenient = { http_req_duration: ['p(50)<2000'], http_req_failed: ['rate<0.01'] }

function serve(fetch: (request: Request) => Response | Promise<Response>) {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, idleTimeout: 60, fetch })
  return { url: `http://127.0.0.1:${server.port}`, [Symbol.asyncDispose]: () => server.stop(true) }
}

/** As much as one reads of it. */
const endlessBody = () =>
  new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) }))

/** Pods behind a balancer that gives each connection to one of them for its life, in turn, as kube-proxy does by chance. */
async function balanced(latencies: number[], headers: (pod: number) => Record<string, string> = () => ({})) {
  const pods = latencies.map((ms, i) =>
    serve(async () => (await Bun.sleep(ms), new Response('ok', { headers: headers(i) }))),
  )
  let connections = 0
  const balancer = createServer((client) => {
    const pod = connect(Number(new URL(pods[connections++ % pods.length]?.url ?? '').port), '127.0.0.1')
    client.pipe(pod).pipe(client)
    for (const socket of [client, pod]) socket.on('error', () => (client.destroy(), pod.destroy()))
  })
  await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(balancer.address() as AddressInfo).port}`,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      balancer.close()
      for (const pod of pods) await pod[Symbol.asyncDispose]()
    },
  }
}

let runs = 0
/** The gate's results, and the folder with its evidence. */
async function run(
  url: string,
  settings: Settings,
  { progress, ...more }: { live?: string; pods?: number; progress?: (state: string) => void } = {},
) {
  const evidence = join(folder, `${++runs}`)
  const target = { url, verification: 'v-1', evidence, ...more }
  const started = performance.now()
  const results = await performanceGate(settingsOf.parse(settings))(target, never, progress)
  const ms = performance.now() - started
  const verdicts = Object.fromEntries(results.map(({ name, verdict }) => [name, verdict]))
  const file = await readFile(join(evidence, 'performance.json'), 'utf8')
  const picture = await readFile(join(evidence, 'performance.svg'), 'utf8')
  return { results, ms, verdicts, file, picture, report: JSON.parse(file) }
}

/** The load alone, on one URL. */
const put = (url: string, settings: Settings, signal = never) =>
  putLoad(settingsOf.parse(settings), { idle: [{ url: new URL(url), status: 200 }] }, signal)

describe('endpoints take turns', () => {
  test.each([
    ['alone', [1], '0000'],
    ['evenly', [1, 1], '0101'],
    ['by weight, not in bursts', [5, 1, 1], '00102000010200'],
    ['by fractions', [0.5, 0.25], '010010'],
  ])('%s', (_, weights, order) => expect(interleaved(weights, order.length).join('')).toBe(order))

  test('as often as their weights say', () => {
    const counts = interleaved([70, 20, 10], 1000).reduce(
      (sum, i) => ((sum[i] = (sum[i] ?? 0) + 1), sum),
      [0, 0, 0],
    )
    expect(counts).toEqual([700, 200, 100])
  })
})

describe('the load', () => {
  test('keeps its rate while the target stalls for a second, and counts everyone who waited', async () => {
    const begun = performance.now()
    const [from, to] = [begun + 1000, begun + 2000]
    const arrivals: number[] = []
    await using server = serve(async () => {
      arrivals.push(performance.now())
      if (arrivals.at(-1)! > from) await Bun.sleep(Math.max(0, to - performance.now()))
      return new Response('ok')
    })
    const { idle } = await put(server.url, { rate: 100, duration: '3s', warmup: '0s' })
    const during = arrivals.filter((at) => at > from && at < to).length
    expect(during).toBeGreaterThan(90)
    expect(during).toBeLessThan(110)
    expect(idle).toMatchObject({ due: 300, dropped: 0 })
    expect(arrivals).toHaveLength(300)
    // A third waited up to a second: p99 of the true distribution is 970 ms. Who asks less in a stall sees none of it.
    const { p50, p90, p99, max } = figures(idle.samples)
    expect(p90).toBeGreaterThan(600)
    expect(p99).toBeGreaterThan(900)
    expect(max).toBeLessThan(1500)
    expect(p50).toBeLessThan(500)
  })

  test('held up itself, sends what was due all the same, counts from then, and says whose fault it was', async () => {
    let requests = 0
    await using server = serve(() => {
      const until = performance.now() + (++requests === 30 ? 500 : 0)
      while (performance.now() < until); // it runs in the generator's own process
      return new Response('ok')
    })
    const settings = {
      rate: 100,
      duration: '1s',
      warmup: '0s',
      thresholds: { http_req_duration: ['p(90)<200'] },
    }
    const { idle } = await put(server.url, settings)
    expect(figures(idle.samples)).toMatchObject({ requests: 100, failed: 0 })
    expect(figures(idle.samples).p90).toBeGreaterThan(300)
    const { objection } = generator(settingsOf.parse(settings), { idle })
    expect(objection).toMatch(/^the generator could not keep the rate: it was \d{3} ms late/)
  })

  test('tells the latency of a server whose latency is known', async () => {
    // 2 to 20 ms, evenly; what its timers really took is what is true.
    const took: number[] = []
    let count = 0
    await using server = serve(async () => {
      const begun = performance.now()
      await Bun.sleep(2 + 18 * ((count++ * 0.618034) % 1))
      took.push(performance.now() - begun)
      return new Response('ok')
    })
    const { idle } = await put(server.url, { rate: 500, duration: '2s', warmup: '100ms' })
    const sorted = took.slice(50).toSorted((a, b) => a - b)
    const { requests, failed, ...seen } = figures(idle.samples)
    expect({ requests, failed }).toEqual({ requests: 1000, failed: 0 })
    for (const [name, rank] of [
      ['p50', 500],
      ['p90', 900],
      ['p99', 990],
    ] as const) {
      const truth = sorted[rank - 1] ?? Number.NaN
      expect(seen[name]).toBeGreaterThan(truth * 0.95)
      // The way there and back, and how late this machine is.
      expect(seen[name]).toBeLessThan(truth * 1.1 + 10 + 2 * Math.max(...idle.samples.map(({ lag }) => lag)))
    }
  })

  test('sends no more than was asked for, and the warm-up is not in the figures', async () => {
    let requests = 0
    await using server = serve(
      () => (
        requests++,
        new Response(requests <= 50 ? 'cold' : 'warm', { status: requests <= 50 ? 503 : 200 })
      ),
    )
    const { idle } = await put(server.url, { rate: 100, duration: '500ms', warmup: '500ms' })
    expect(requests).toBe(100)
    expect(figures(idle.samples)).toMatchObject({ requests: 50, failed: 0 })
    expect(idle).toMatchObject({ due: 50, dropped: 0 })
  })

  test.each([
    ['while it warms up', '10s', 20],
    ['while nothing is answered', '0s', 20],
    ['while the last answers are waited for', '0s', 100],
  ])('an interrupt ends it at once, and nothing more is sent: %s', async (_, warmup, when) => {
    const stop = new AbortController()
    let [requests, at] = [0, 0]
    await using server = serve(() => {
      if (++requests === when) {
        at = performance.now()
        setTimeout(() => stop.abort(new Error('SIGINT')), when === 100 ? 100 : 0)
      }
      return new Promise(() => {})
    })
    const duration = when === 100 ? '1s' : '20s'
    const load = put(server.url, { rate: 100, duration, warmup, timeout: '10s' }, stop.signal)
    expect(load).rejects.toThrow('SIGINT')
    await load.catch(() => {})
    expect(performance.now() - at).toBeLessThan(3000)
    const then = requests
    await Bun.sleep(200)
    expect(requests).toBe(then)
  })
})

/** Sleeps by a table of lognormal times, the same in every run: a median of 20 ms, σ 0.5. */
function sleeper(times: number) {
  const random = seeded(7)
  return serve(async () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    await Bun.sleep(times * 20 * Math.exp(0.5 * normal))
    return new Response('ok')
  })
}

const beside = { rate: 200, liveRate: 200, duration: '5s', warmup: '500ms', thresholds: lenient }
const seenOf = async (times: number, settings: Settings) => {
  await using idle = sleeper(times)
  await using live = sleeper(1)
  const { results, report } = await run(idle.url, settings, { live: live.url })
  const found = results.find(({ name }) => name === 'not slower than the live color')
  return { said: `${found?.verdict}: ${found?.seen}`, live: report.live.requests }
}

describe('beside a live color', () => {
  test('1.5 times as slow is noticed, alike is not, and what would have been noticed is said', async () => {
    const [slow, alike, few] = await Promise.all([
      seenOf(1.5, beside),
      seenOf(1, beside),
      seenOf(2, { ...beside, rate: 50, liveRate: undefined }),
    ])
    expect(slow.said).toMatch(/^failed: p50 [\d.]+ ms, live [\d.]+ \(slower\), p90/)
    expect(alike.said).toMatch(
      /^passed: p50 .*, p90 .*, p99 .*; 1\.\d times at p50, [\d.]+ times at p90, [\d.]+ times at p99 would have been noticed in 95 of 100 runs$/,
    )
    // By default users' color is asked 5 times a second.
    expect(few.live).toBe(25)
    expect(few.said).toMatch(
      /^failed: p50 [\d.]+ ms, live [\d.]+ \(slower\); p90 is not compared: 25 requests/,
    )
  })
})

const named = (pod: number) => ({ 'x-pod': `pod-${pod}` })

describe('a target of several pods', () => {
  const settings = { rate: 100, duration: '5s', warmup: '500ms', thresholds: lenient }
  const ALIKE = 'no pod slower than the others'

  test.concurrent.each([
    ['one of three', [2, 2, 400], 3],
    ['one of ten', [2, 2, 2, 2, 400, 2, 2, 2, 2, 2], 10],
    ['one of three, wherever the first connection leads, and nobody counted them', [400, 2, 2], undefined],
  ])('a slow pod is noticed: %s', async (_, latencies, pods) => {
    await using target = await balanced(latencies)
    const { verdicts, results, report } = await run(target.url, settings, pods === undefined ? {} : { pods })
    expect(verdicts[ALIKE]).toBe('failed')
    expect(results.find(({ name }) => name === ALIKE)?.seen).toMatch(
      /connection \d+ takes 4\d\d ms, the others \d\.\d+.*a connection leads to one pod$/,
    )
    expect(target.connections()).toBeGreaterThanOrEqual(Math.max(20, 5 * (pods ?? 0)))
    expect(report.target.connections).toBe(target.connections())
    // Each pod is asked: what each connection answered is in the evidence.
    const slow = report.target.parts.filter(({ p50 }: { p50: number }) => p50 > 300)
    expect(slow.length).toBeGreaterThanOrEqual(Math.floor(report.target.parts.length / latencies.length / 2))
  })

  test.concurrent('a pod that the application names is named, and pods that are alike pass', async () => {
    await using one = await balanced([2, 2, 200, 2], named)
    await using other = await balanced([2, 2, 2, 2], named)
    const asked = { ...settings, podHeader: 'X-Pod' }
    const [slow, alike] = await Promise.all([one, other].map(({ url }) => run(url, asked, { pods: 4 })))
    expect(slow?.results.find(({ name }) => name === ALIKE)?.seen).toMatch(
      /^1 of 4 pods: pod-2 takes 2\d\d ms, the others \d\.\d+$/,
    )
    expect(alike?.verdicts[ALIKE]).toBe('passed')
    const parts = alike?.report.target.parts.map(({ name, requests }: { name: string; requests: number }) => [
      name,
      requests > 80,
    ])
    expect(parts).toEqual([0, 1, 2, 3].map((i) => [`pod-${i}`, true]))
  })

  test.concurrent('a server that closes what nobody uses loses no request, and one that resets is not excused', async () => {
    await using closing = await rawServer((socket) => {
      socket.write(answer(200, 'ok'))
      socket.setTimeout(900, () => socket.destroy())
    })
    const slowly = {
      rate: 8,
      duration: '5s',
      warmup: '0s',
      thresholds: { http_req_duration: ['p(50)<2000'] },
    }
    const { report } = await run(closing.url, slowly)
    expect(report.target).toMatchObject({ requests: 40, failed: 0 })
    expect(closing.connections).toBeGreaterThan(20)
    await using resetting = await rawServer((socket, _, count) =>
      count % 10 === 0 ? void socket.resetAndDestroy() : void socket.write(answer(200, 'ok')),
    )
    const { report: reset } = await run(resetting.url, { ...settings, duration: '1s' })
    expect(reset.target.failed).toBeGreaterThan(7)
  })
})

const told = (settings: Settings) => settingsOf.safeParse(settings).error?.issues[0]?.message

describe('settings', () => {
  test('a timeout that is shorter than a threshold would let what never answers pass', () => {
    expect(told({ timeout: '499ms' })).toBe(
      'expected at least as long as every threshold of http_req_duration',
    )
    expect(told({ timeout: '500ms' })).toBeUndefined()
  })
})

describe('the gate', () => {
  test('marks its requests, writes its figures, and keeps secrets out of them', async () => {
    const seen: { url: string; method: string; agent: string | null; mark: string | null }[] = []
    await using server = serve((request) => {
      const { url, method, headers } = request
      seen.push({ url, method, agent: headers.get('user-agent'), mark: headers.get('x-deploy-verification') })
      return new Response('ok')
    })
    const states: string[] = []
    const { results, ms, report, file, picture } = await run(
      server.url.replace('://', '://deployer:s3cret@'),
      {
        ...quick,
        thresholds: lenient,
        endpoints: [
          { path: '/a', weight: 3, headers: { authorization: 'Bearer s3cret' } },
          { path: '/b', method: 'POST', body: 's3cret' },
        ],
      },
      { progress: (state) => states.push(state) },
    )
    expect(results.map(({ name, verdict }) => `${name} ${verdict}`)).toEqual([
      'rate delivered passed',
      'dropped_iterations passed',
      'http_req_failed rate<0.01 passed',
      'http_req_duration p(50)<2000 passed',
      'no pod slower than the others passed',
    ])
    for (const { gate, evidence } of results) {
      expect({ gate, evidence }).toEqual({
        gate: 'performance',
        evidence: ['performance.json', 'performance.svg'],
      })
    }
    // 2.2 s of load, told once and not by each of the five.
    const took = results.reduce((sum, { ms }) => sum + ms, 0)
    expect(took).toBeGreaterThan(2000)
    expect(took).toBeLessThan(ms + 1)
    expect(states[0]).toMatch(/^performance: 1 s of 2.2, \d+ requests, 0 failed, p99 \d+ ms$/)
    expect(seen).toHaveLength(220)
    for (const { agent, mark } of seen)
      expect({ agent, mark }).toEqual({ agent: 'deploy-scripts', mark: 'v-1' })
    expect(seen.filter(({ url, method }) => url.endsWith('/b') && method === 'POST')).toHaveLength(55)
    expect(report.target).toMatchObject({
      requests: 200,
      failed: 0,
      endpoints: [
        { name: 'GET /a', requests: 150 },
        { name: 'POST /b', requests: 50 },
      ],
    })
    expect(file).not.toContain('s3cret')
    expect(picture).toMatch(/^<svg [\s\S]*this release<\/text>\n<\/svg>\n$/)
    expect(picture).not.toMatch(/NaN|Infinity|undefined/)
    const histogram = decodeFromCompressedBase64(report.target.histogram)
    expect(histogram.totalCount).toBe(200)
    expect(histogram.getValueAtPercentile(99) / 1000).toBe(report.target.p99)
  })

  test.concurrent('whatever a target does, it is failed in seconds, with what it did', async () => {
    const thresholds = { http_req_duration: ['p(50)<400'], http_req_failed: ['rate<0.01'] }
    const short = { ...quick, duration: '20s', timeout: '1s', thresholds }
    await using hanging = await rawServer(() => {})
    await using resetting = await rawServer((socket) => socket.resetAndDestroy())
    await using elsewhere = await rawServer(
      (socket) => void socket.write(answer(302, '', 'location: /login')),
    )
    await using gone = await rawServer(() => {})
    await gone[Symbol.asyncDispose]()
    await using endless = serve(endlessBody)
    const cases: [string, RegExp][] = [
      [hanging.url, /no whole answer within 1 s/],
      [resetting.url, /ECONNRESET|closed/i],
      [elsewhere.url, /status 302/],
      [gone.url, /ECONNREFUSED/],
      [endless.url, /more than 10000000 bytes|no whole answer within 1 s/],
      ['http://no-such-host.invalid', /./],
    ]
    const begun = performance.now()
    const outcomes = await Promise.all(
      cases.map(async ([url, sees]) => {
        const rate = url === endless.url ? 5 : 20
        const { results, verdicts } = await run(url, { ...short, rate })
        expect(verdicts).toMatchObject({ 'http_req_failed rate<0.01': 'failed' })
        expect(verdicts['http_req_duration p(50)<400']).not.toBe('passed')
        expect(results.find(({ name }) => name.startsWith('http_req_failed'))?.seen).toMatch(sees)
        return url
      }),
    )
    expect(outcomes).toHaveLength(cases.length)
    expect(performance.now() - begun).toBeLessThan(15_000)
  })

  test.concurrent('a live color that is gone leaves the comparison open, and takes nothing from the rest', async () => {
    await using gone = await rawServer(() => {})
    await gone[Symbol.asyncDispose]()
    await using server = serve(() => new Response('ok'))
    const { verdicts, report } = await run(
      server.url,
      { rate: 200, duration: '5500ms', warmup: '0s', thresholds: lenient },
      { live: gone.url },
    )
    expect(verdicts).toEqual({
      'rate delivered': 'passed',
      dropped_iterations: 'passed',
      'http_req_failed rate<0.01': 'passed',
      'http_req_duration p(50)<2000': 'passed',
      'no pod slower than the others': 'passed',
      'not slower than the live color': 'inconclusive',
    })
    expect(report.target.requests).toBe(1100)
    expect(report.live.stopped).toMatch(/ECONNREFUSED/)
  })
})

/** The example app, as a process of its own. */
const app = async (faults: Record<string, string>) => {
  const pod = await startPod({
    DATABASE_URL: `sqlite:${folder}/${++runs}.db`,
    DRAIN_SECONDS: '0',
    ...faults,
  })
  return {
    url: pod.url,
    [Symbol.asyncDispose]: async () => (pod.child.kill('SIGKILL'), void (await pod.ended)),
  }
}

describe('the example app', () => {
  const thresholds = { http_req_duration: ['p(50)<400', 'p(99)<5000'], http_req_failed: ['rate<0.01'] }
  const endpoints: Settings['endpoints'] = [{ path: '/', weight: 3 }, { path: '/api/session' }]
  const whole = { rate: 200, liveRate: 200, duration: '5s', warmup: '500ms', thresholds, endpoints }
  const healthy: Record<string, Verdict> = {
    'rate delivered': 'passed',
    dropped_iterations: 'passed',
    'http_req_failed rate<0.01': 'passed',
    'http_req_duration p(50)<400': 'passed',
    'http_req_duration p(99)<5000': 'passed',
    'no pod slower than the others': 'passed',
  }

  test('passes beside another of its kind', async () => {
    await using idle = await app({})
    await using live = await app({})
    const { verdicts, report } = await run(idle.url, whole, { live: live.url })
    expect(verdicts).toEqual({ ...healthy, 'not slower than the live color': 'passed' })
    expect([report.target.requests, report.live.requests]).toEqual([1000, 1000])
  })

  test('FAULT_ERROR_RATE is caught by the error rate, and by nothing else', async () => {
    await using idle = await app({ FAULT_ERROR_RATE: '0.1' })
    const { verdicts, results, report } = await run(idle.url, { ...whole, rate: 500, duration: '2s' })
    expect(verdicts).toEqual({ ...healthy, 'http_req_failed rate<0.01': 'failed' })
    expect(results.find(({ verdict }) => verdict === 'failed')?.seen).toBe(
      '100 of 1000 requests failed: 100 × status 500',
    )
    // Quick errors would make a slow target look fast: all of them would be 1000, and a busy machine's late ones count twice.
    expect(decodeFromCompressedBase64(report.target.histogram).totalCount).toBeLessThan(960)
  })

  test('FAULT_SLOW_MS is caught by the latency, and beside the live color', async () => {
    // So slow, and so few at a time, that a busy machine's own delay is not taken for it.
    await using idle = await app({ FAULT_SLOW_MS: '1000' })
    await using live = await app({})
    const slow = {
      ...whole,
      rate: 100,
      liveRate: 100,
      thresholds: { ...thresholds, http_req_duration: ['p(50)<100'] },
    }
    const { verdicts } = await run(idle.url, slow, { live: live.url })
    const { 'http_req_duration p(50)<400': _, 'http_req_duration p(99)<5000': __, ...rest } = healthy
    expect(verdicts).toEqual({
      ...rest,
      'http_req_duration p(50)<100': 'failed',
      // A request of 1 s at a time: few on each connection.
      'no pod slower than the others': 'skipped',
      'not slower than the live color': 'failed',
    })
  })
})
