#!/usr/bin/env bun
/**
 * Faults that begin after the switch, one release after another, with a real Prometheus that reads the pods of the example:
 * how long until users are back, and what they met meanwhile. Takes a quarter of an hour; on the sandbox, or with
 * E2E_CLUSTER=real on the cluster of KUBECONFIG. Writes bench/results-bake-faults-SANDBOX|REAL.md.
 */
import { seconds } from '../lib/clock.ts'
import { until } from '../examples/rehearsal/program.ts'
import { startRehearsal } from '../examples/rehearsal/rehearsal.ts'
import type { Workspace } from '../examples/rehearsal/workspace.ts'
import { writeResults } from './measure.ts'
import { delay } from './predicted.ts'
import { scraped } from './scraped.ts'
import { users, type Met } from './users.ts'

const EVERY = 5

interface Fault {
  name: string
  faults: Record<string, string>
  /** Of what is bad, by which the judge's delay is predicted; or in words, where it needs no odds. */
  share?: number
  predicted?: string
  /** How many of the two pods. */
  pods?: number
  /** Without Prometheus: by the pods' own /metrics, which know their containers' limits. */
  alone?: boolean
  minutes?: number
}

const plays: Fault[] = [
  { name: 'healthy', faults: {} },
  { name: '100 % of requests fail', share: 1, faults: { FAULT_LIVE_ERROR_RATE: '1' } },
  { name: '20 % of requests fail', share: 0.2, faults: { FAULT_LIVE_ERROR_RATE: '0.2' } },
  { name: '5 % of requests fail', share: 0.05, faults: { FAULT_LIVE_ERROR_RATE: '0.05' } },
  { name: '1 % of requests fail', share: 0.01, faults: { FAULT_LIVE_ERROR_RATE: '0.01' } },
  { name: 'one endpoint of five', share: 0.2, faults: { FAULT_LIVE_ERROR_RATE: '1', FAULT_PATH: '/app.js' } },
  { name: 'every second pod', share: 0.5, faults: { FAULT_LIVE_ERROR_RATE: '1' }, pods: 1 },
  { name: 'twice as slow', share: 1, faults: { FAULT_SLOW_MS: '80' } },
  { name: 'database operations fail', share: 0.1, faults: { FAULT_DATABASE_ERROR_RATE: '0.5' } },
  { name: 'restarts', predicted: 'two readings: 10 s', faults: { FAULT_CRASH: '1' } },
  {
    name: 'leaks memory',
    predicted: 'no sooner than 2 m',
    faults: { FAULT_LEAK_MB_PER_REQUEST: '0.05', FAULT_SLOW_MS: '40' },
    alone: true,
    minutes: 6,
  },
]

/** Of each release, so that twice as slow is something. */
const USUAL = { FAULT_REMOTE: '1', FAULT_SLOW_MS: '40' }

async function spoil(url: string, what: Record<string, string>, pods: number): Promise<void> {
  const told = new Set<unknown>()
  await until(`${pods} pods to be told`, async () => {
    // One that has been told to crash may be the next one that is asked.
    const answer = await fetch(`${url}/faults`, {
      method: 'POST',
      body: JSON.stringify(what),
      keepalive: false,
    }).catch(() => undefined)
    if (answer) told.add(Reflect.get(Object(await answer.json()), 'pod'))
    return told.size >= pods || undefined
  })
}

interface Result {
  name: string
  predicted: string
  code: number
  back?: number
  failed: number
  requests: number
  reason: string
}

function predictedOf({ share, predicted = '–' }: Fault): string {
  if (share === undefined) return predicted
  const { median, p95 } = delay(share)
  return `${median} s, ${p95} s`
}

async function play(workspace: Workspace, url: string, fault: Fault): Promise<Result> {
  const { name, alone = false, minutes = 3, pods = 2 } = fault
  const bake = {
    ...(!alone && { prometheus: url }),
    first: '10s',
    time: `${minutes}m`,
    maxTime: `${minutes}m`,
    every: `${EVERY}s`,
  }
  workspace.configure({ bake })
  const met: Met[] = []
  const stop = users(workspace.url, met)
  let [spoilt, back] = [0, 0]
  const flags = ['--env', 'production', '--yes', '--version', '2.0.0', '--allow-failed-digest', 'a rehearsal']
  const run = workspace.start('deploy', flags, {
    within: 900_000,
    onLine: (line) => {
      if (/Watch \w+ for/.test(line) && spoilt === 0) {
        spoilt = Date.now() + 5000
        if (Object.keys(fault.faults).length > 0)
          setTimeout(() => void spoil(workspace.url, { ...USUAL, ...fault.faults }, pods), 5000)
      }
      if (line.includes('Roll back to')) back = Date.now()
    },
  })
  const { code, stderr } = await run.ended
  await Bun.sleep(1000)
  stop()
  const since = met.filter(({ at }) => at >= spoilt)
  const [record] = await workspace.history()
  if (process.env.READINGS) console.log(JSON.stringify(record?.bake, undefined, 1))
  const result = {
    name,
    predicted: predictedOf(fault),
    code,
    ...(back > 0 && { back: back - spoilt }),
    failed: since.filter(({ bad }) => bad).length,
    requests: since.filter(({ at }) => back === 0 || at <= back).length,
    reason: record?.bake?.reason ?? record?.bake?.verdict ?? stderr.trim().split('\n').at(-1) ?? '',
  }
  console.log(JSON.stringify(result))
  return result
}

async function main(): Promise<void> {
  const chosen = process.argv.slice(2)
  const rehearsal = await startRehearsal()
  try {
    await Promise.all(['1.0.0', '2.0.0'].map((version) => rehearsal.images.push(version, USUAL)))
    const workspace = await rehearsal.open()
    await using prometheus = await scraped(workspace, EVERY)
    const { code, stderr } = await workspace.deploy('1.0.0')
    if (code !== 0) throw new Error(stderr)
    const met: Met[] = []
    const stop = users(workspace.url, met)
    await Bun.sleep(60_000) // what is normal
    stop()
    const results: Result[] = []
    for (const fault of plays.filter(({ name }) => chosen.length === 0 || chosen.includes(name)))
      results.push(await play(workspace, prometheus.url, fault))
    if (chosen.length === 0)
      writeResults(
        `bake-faults-${rehearsal.cluster.kind}`,
        `Faults that begin after the switch (${rehearsal.cluster.kind})`,
        [
          'fault',
          'exit',
          'predicted: median, p95',
          'until it goes back',
          'requests until then',
          'failed in all',
          'reason',
        ],
        results.map(({ name, predicted, code, back, requests, failed, reason }) => [
          name,
          String(code),
          predicted,
          back === undefined ? '–' : seconds(back),
          String(requests),
          String(failed),
          reason.replaceAll('|', '¦'),
        ]),
        `A reading and a scrape each ${EVERY} s, 20 requests/s on two pods, each release 40 ms slow; the fault begins 5 s into ` +
          'the second watch. Judged by a real Prometheus, the leak by the pods themselves',
      )
  } finally {
    await rehearsal.close()
  }
}

await main()
