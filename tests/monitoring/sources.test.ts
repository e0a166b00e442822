/**
 * The figures of a bake out of a real Prometheus that reads the example in both colors, and out of the example itself, as
 * kubectl would hand it on. What goes wrong with a Prometheus is done to it.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { arrange } from '../../lib/app/observe.ts'
import type { World } from '../../lib/cluster/world.ts'
import { Kubectl } from '../../lib/cluster/kubectl.ts'
import { systemClock } from '../../lib/clock.ts'
import type { Output } from '../../lib/command.ts'
import { meter } from '../../lib/monitor/measured.ts'
import { difference } from '../../lib/monitor/readings.ts'
import type { Snapshot, Unknown } from '../../lib/monitor/source.ts'
import { sourceOf } from '../../lib/monitor/sources.ts'
import { bake, type BakeSettings } from '../../lib/settings/bake.ts'
import { parseSelector } from '../../lib/settings/selector.ts'
import { temporaryFolder } from '../../lib/temporary.ts'
import { rehearse } from '../lib/world.ts'
import { kill, people, place, pod, target, until } from './app.ts'
import { prometheus as configuration } from './configuration.ts'
import { cluster, podName, programs, startPrometheus, type Running } from './servers.ts'

setDefaultTimeout(60_000)

describe.skipIf(programs.prometheus === null)('with prometheus, which is a package of Debian', () => {
  const folder = temporaryFolder()
  const closing: (() => unknown)[] = [() => folder[Symbol.dispose]()]
  const open = <T>(thing: T, close: (thing: T) => unknown): T => {
    closing.unshift(() => close(thing))
    return thing
  }
  let prometheus: Running
  let settings: object
  let colors: Record<string, Awaited<ReturnType<typeof pod>>>
  const rehearsal = open(rehearse(), (one) => one[Symbol.asyncDispose]())

  /** In this world a pod's own metrics are asked of the example's processes. */
  const worldOf = (settings: Partial<BakeSettings>): World => {
    const raw = async (line: string): Promise<Output> => {
      const name = Object.keys(colors).find((color) => line.includes(podName(color)))
      const answer = await fetch(`http://${colors[name ?? '']?.metrics}/metrics`)
      return { stdout: await answer.text(), stderr: '', exitCode: 0 }
    }
    const environment = {
      ...rehearsal.world.environment,
      ...place,
      bake: bake.parse({ every: '1s', ...settings }),
    }
    const items = Object.keys(colors).map(podObject)
    rehearsal.cluster.intercept = async (line) =>
      line.includes('/proxy/')
        ? await raw(line)
        : { stdout: JSON.stringify({ items }), stderr: '', exitCode: 0 }
    const { signal } = rehearsal.world
    const scope = { context: 'test', namespace: place.namespace }
    const kubectl = new Kubectl(scope, rehearsal.cluster, systemClock, signal)
    return { ...rehearsal.world, environment, kubectl, clock: systemClock }
  }
  const withPrometheus = () => worldOf({ prometheus: prometheus.url })

  beforeAll(async () => {
    colors = {
      blue: open(await pod('blue', folder.path, {}), kill),
      green: open(await pod('green', folder.path, { FAULT_LIVE_ERROR_RATE: '0.2' }), kill),
    }
    const standIn = open(
      cluster(place.namespace, {
        blue: colors['blue']?.child.pid ?? 0,
        green: colors['green']?.child.pid ?? 0,
      }),
      (server) => server.stop(true),
    )
    const shipped = configuration({
      [place.app]: Object.entries(colors).map(([color, { metrics }]) => target(metrics, color, 'metrics')),
      'kube-state-metrics': [{ targets: [standIn.url.host] }],
    })
    settings = {
      scrape_configs: shipped.scrape_configs,
      global: { scrape_interval: '500ms', scrape_timeout: '500ms' },
    }
    prometheus = open(await startPrometheus(folder.path, settings), () => prometheus[Symbol.asyncDispose]())
    const stop = open(new AbortController(), (controller) => controller.abort())
    for (const one of Object.values(colors)) void people(one, stop.signal)
    await until(async () => {
      const { source } = await sourceOf(withPrometheus())
      const found = await source.look()
      return (
        source.name.includes('color') &&
        'pods' in found &&
        found.pods.length === 2 &&
        found.pods.every(({ counters }) => (counters['errors']?.total ?? 0) > 30)
      )
    })
  })

  afterAll(async () => {
    for (const close of closing) await close()
  })

  test.each(['prometheus', 'pods'])(
    '%s give each pod with its color, all that it counts, and what it takes',
    async (which) => {
      const { source, slow, notCovered } = await sourceOf(which === 'pods' ? worldOf({}) : withPrometheus())
      expect(source.name).toBe(which === 'pods' ? "the pods' own /metrics" : 'Prometheus, by the label color')
      await Bun.sleep(600)
      const { at, pods } = known(await source.look())
      expect(at).toBeWithin(Date.now() - 3000, Date.now() + 1)
      expect(new Map(pods.map(({ pod: name, color }) => [color, name]))).toEqual(
        new Map([
          ['blue', podName('blue')],
          ['green', podName('green')],
        ]),
      )
      for (const { color, counters, gauges } of pods) {
        expect(Object.keys(counters).toSorted()).toEqual(['databaseErrors', 'errors', 'slow'])
        const { total = 0, bad = 0 } = counters['errors'] ?? {}
        expect(total).toBeGreaterThan(30)
        if (color === 'blue') expect(bad).toBe(0)
        else expect(bad / total).toBeWithin(0.08, 0.35)
        expect(counters['slow']?.total).toBe(total)
        expect(gauges['memory']).toBeWithin(20e6, 2e9)
        expect(gauges['cpuSeconds']).toBeGreaterThan(0)
        expect(gauges['startTime']).toBeWithin(Date.now() / 1000 - 600, Date.now() / 1000)
        expect(gauges).toHaveProperty('databaseConnections')
      }
      expect(slow).toBeWithin(0.004, 11)
      expect(notCovered.join('\n')).toContain('No request is marked as a check of a deployment')
    },
  )

  test('from one to the other nothing is counted twice, and nothing is lost', async () => {
    const [first, second] = await Promise.all([sourceOf(withPrometheus()), sourceOf(worldOf({}))])
    await Bun.sleep(600)
    const before = known(await first.source.look())
    await Bun.sleep(1500)
    const now = known(await second.source.look())
    const counted = difference(before, now)
    for (const color of ['blue', 'green'] as const)
      expect(counted[color]['errors']?.total).toBe(total(now, color) - total(before, color))
  })

  test('what was before is there, reading by reading, and of a color alone', async () => {
    const { source } = await sourceOf(withPrometheus())
    await Bun.sleep(3000)
    const past = await source.past('green', { from: Date.now() - 10_000, to: Date.now() })
    const readings = past['errors'] ?? []
    expect(readings.length).toBeGreaterThan(2)
    const sum = readings.reduce((all, { total, bad }) => ({ total: all.total + total, bad: all.bad + bad }), {
      total: 0,
      bad: 0,
    })
    expect(sum.bad / sum.total).toBeWithin(0.05, 0.4)
    expect(
      (await source.past('blue', { from: Date.now() - 10_000, to: Date.now() }))['errors']?.every(
        ({ bad }) => bad === 0,
      ),
    ).toBe(true)
    expect(await source.past('green', { from: 0, to: 60_000 })).toEqual({})
  })

  test('whoever looks sees nearly the same by both, and what only nodes count is unknown without it', async () => {
    const world = withPrometheus()
    const observed = arrange(place.app, [])
    const by = await meter(world)(observed)
    expect(by).toMatchObject({ by: 'Prometheus', problems: [] })
    for (const values of Object.values(by.values)) expect(Object.keys(values)).toEqual(['blue', 'green'])
    const { by: name, problems, values } = await meter(worldOf({}))(observed)
    expect({ name, problems }).toEqual({ name: "the pods' own /metrics", problems: [] })
    const missing = Object.keys(by.values).filter((metric) => !Object.hasOwn(values, metric))
    expect(missing).toEqual(['network', 'restarts'])
    expect(values.requests?.green).toBeWithin(1, 1000)
    expect(values.errors?.green).toBeWithin(0.05, 0.45)
    expect(values.p50?.blue).toBeWithin(0.0001, 0.5)
    expect(values.memory?.blue).toBeWithin(20e6, 2e9)
    expect(values.memoryOfLimit?.blue).toBeCloseTo((values.memory?.blue ?? 0) / 2 ** 29, 5)
    for (const metric of ['p99', 'databaseP99', 'cpu', 'messages'] as const)
      expect([values[metric]?.blue ?? 0, by.values[metric]?.blue ?? 0].every((value) => value > 0)).toBe(true)
  })

  /** Looks at both, as a bake does; the pods answer for it, and what was counted in all is told beside it. */
  const through = async (accident: () => Promise<void>): Promise<{ ms: number; lost: number }> => {
    const { source } = await sourceOf(withPrometheus())
    await Bun.sleep(600)
    const first = known(await source.look())
    await accident()
    const started = performance.now()
    const now = known(await source.look())
    const ms = performance.now() - started
    await Bun.sleep(1100)
    const last = known(await source.look())
    const sum = [difference(first, now), difference(now, last)].map(
      ({ green }) => green['errors']?.total ?? 0,
    )
    return { ms, lost: total(last, 'green') - total(first, 'green') - sum.reduce((a, b) => a + b, 0) }
  }

  test.each([
    'a_total',
    ' a:b { c = "d" , e!~"f|g", } ',
    '{a="b"}',
    '{a!=""}',
    `a{b='c"d'}`,
    'a{b=~"5.."}',
    'a{b=~"(?i)x"}',
    String.raw`a{b="\\ \n \t \""}`,
    String.raw`a{b='\''}`,
    'sum',
    'by{a="b"}',
    'start',
    'unless{a="b"}',
    'offset',
    'a{by="c",on="d",sum="e"}',
  ])('the selector %s is one to Prometheus, too', async (selector) => {
    expect(parseSelector(selector)).toBeDefined()
    const answer = await fetch(
      `${prometheus.url}/api/v1/format_query?${new URLSearchParams({ query: selector }).toString()}`,
    )
    expect(await answer.json()).toMatchObject({ status: 'success' })
  })

  describe('while a bake asks it, Prometheus', () => {
    test('hangs: the pods are asked in time, and nothing is lost or counted twice', async () => {
      const { ms, lost } = await through(async () => prometheus.signal('SIGSTOP')).finally(() =>
        prometheus.signal('SIGCONT'),
      )
      expect(ms).toBeLessThan(5000)
      expect(lost).toBe(0)
    })

    test('is killed, and started again', async () => {
      const killed = async () => await prometheus[Symbol.asyncDispose]()
      expect((await through(killed)).lost).toBe(0)
      const { address } = prometheus
      prometheus = await startPrometheus(folder.path, settings, address)
      expect(
        (
          await through(async () => {
            await killed()
            prometheus = await startPrometheus(folder.path, settings, address)
          })
        ).lost,
      ).toBe(0)
    })

    test('and the pods are both gone: it is unknown', async () => {
      const world = withPrometheus()
      const { source } = await sourceOf(world)
      rehearsal.cluster.intercept = () => ({ stdout: '', stderr: 'connection refused', exitCode: 1 })
      prometheus.signal('SIGSTOP')
      const found = await source.look().finally(() => prometheus.signal('SIGCONT'))
      expect(found).toEqual({
        unknown: expect.stringMatching(/^Prometheus does not answer.*\. The pods cannot be listed/s),
      })
    })
  })
})

const known = (found: Snapshot | Unknown): Snapshot => {
  if ('unknown' in found) throw new Error(found.unknown)
  return found
}

const total = (snapshot: Snapshot, color: string): number =>
  snapshot.pods.find((one) => one.color === color)?.counters['errors']?.total ?? Number.NaN

const podObject = (color: string): object => ({
  kind: 'Pod',
  metadata: { name: podName(color), namespace: place.namespace, labels: { app: place.app, color } },
  spec: {
    containers: [
      { ports: [{ name: 'metrics', containerPort: 9091 }], resources: { limits: { memory: '512Mi' } } },
    ],
  },
  status: { phase: 'Running' },
})
