import { expect, test } from 'bun:test'
import { performance as schema } from '../../lib/settings/gates.ts'
import { putLoad } from '../../verify/performance/load.ts'
import type { Exchange } from '../../verify/performance/connections.ts'

/** Answers each request after so many ms. */
const answering = (ms: number) =>
  Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async () => {
      await Bun.sleep(ms)
      return new Response('ok')
    },
  })
const settings = schema.parse({ endpoints: [{ path: '/' }], duration: '500ms', timeout: '5s' })
const schedule = { ...settings, rate: 20, liveRate: 20, warmup: 0 }

test.each([
  ['the target', 600, 0],
  ['the live color', 0, 600],
])('what is still out at the end is waited for, and counted: %s', async (_, idle, live) => {
  using one = answering(idle)
  using other = answering(live)
  const exchanges = [one, other].map(({ url }): Exchange[] => [{ url, status: 200 }])
  const [first = [], second = []] = exchanges
  const loads = await putLoad(schedule, { idle: first, live: second }, new AbortController().signal)
  for (const load of [loads.idle, loads.live]) {
    expect(load).toMatchObject({ due: 10, dropped: 0 })
    expect(load?.samples.map(({ failure = 'answered' }) => failure)).toEqual(Array(10).fill('answered'))
  }
})

test('while nothing has been answered no percentile is told', async () => {
  using silent = answering(2500)
  const lines: string[] = []
  const exchange: Exchange = { url: silent.url, status: 200 }
  const short = { ...schedule, duration: 2100, rate: 2 }
  await putLoad(short, { idle: [exchange] }, new AbortController().signal, (line) => lines.push(line))
  expect(lines[0]).toMatch(/^performance: [12] s of 2\.1, 0 requests, 0 failed$/)
})
