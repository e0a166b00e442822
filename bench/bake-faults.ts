#!/usr/bin/env bun
/**
 * Faults that begin after the switch, one release after another, with a real Prometheus that reads the pods of the example:
 * how long until users are back, and what they met meanwhile. Takes a quarter of an hour; on the sandbox, or with
 * E2E_CLUSTER=real on the cluster of KUBECONFIG. Writes bench/results-bake-faults-SANDBOX|REAL.md.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { seconds } from '../lib/clock.ts'
import { until } from '../examples/rehearsal/program.ts'
import { startRehearsal } from '../examples/rehearsal/rehearsal.ts'
import type { Workspace } from '../examples/rehearsal/workspace.ts'
import { startPrometheus } from '../tests/monitoring/servers.ts'
import { writeResults } from './measure.ts'

const EVERY = 5

interface Fault {
  name: string
  faults: Record<string, string>
  /** How many of the two pods. */
  pods?: number
  /** Without Prometheus: by the pods' own /metrics, which know their containers' limits. */
  alone?: boolean
  minutes?: number
}

const plays: Fault[] = [
  { name: 'healthy', faults: {} },
  { name: '100 % of requests fail', faults: { FAULT_LIVE_ERROR_RATE: '1' } },
  { name: '20 % of requests fail', faults: { FAULT_LIVE_ERROR_RATE: '0.2' } },
  { name: '5 % of requests fail', faults: { FAULT_LIVE_ERROR_RATE: '0.05' } },
  { name: '1 % of requests fail', faults: { FAULT_LIVE_ERROR_RATE: '0.01' } },
  { name: 'one endpoint of five', faults: { FAULT_LIVE_ERROR_RATE: '1', FAULT_PATH: '/app.js' } },
  { name: 'every second pod', faults: { FAULT_LIVE_ERROR_RATE: '1' }, pods: 1 },
  { name: 'twice as slow', faults: { FAULT_SLOW_MS: '80' } },
  { name: 'database operations fail', faults: { FAULT_DATABASE_ERROR_RATE: '0.5' } },
  { name: 'restarts', faults: { FAULT_CRASH: '1' } },
  {
    name: 'leaks memory',
    faults: { FAULT_LEAK_MB_PER_REQUEST: '0.05', FAULT_SLOW_MS: '40' },
    alone: true,
    minutes: 6,
  },
]

/** Of each release, so that twice as slow is something. */
const USUAL = { FAULT_REMOTE: '1', FAULT_SLOW_MS: '40' }

const PATHS = ['/', '/version', '/app.js', '/api/session', '/app.css']

interface Met {
  at: number
  bad: boolean
}

async function ask(url: string, options: RequestInit): Promise<boolean> {
  try {
    const answer = await fetch(url, options)
    await answer.text()
    return answer.status >= 500
  } catch {
    return true
  }
}

/** Twenty requests a second, each path alike, half of them on new connections. */
function users(url: string, met: Met[]): () => void {
  let asked = 0
  const timer = setInterval(() => {
    const path = PATHS[asked++ % PATHS.length] ?? '/'
    const at = Date.now()
    const headers = { cookie: 'session=nobody' }
    const options = { keepalive: asked % 2 === 0, headers, signal: AbortSignal.timeout(10_000) }
    void ask(url + path, options).then((bad) => met.push({ at, bad }))
  }, 50)
  return () => clearInterval(timer)
}

const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()) }),
      status: z.object({ podIP: z.string().optional() }),
    }),
  ),
})

/** Tells Prometheus which pods there are, as its own discovery would; until it is stopped. */
function discover(workspace: Workspace, file: string): () => void {
  const look = async (): Promise<void> => {
    const { items } = podList.parse(JSON.parse(await workspace.kubectl('get', 'pods', '-o', 'json')))
    const targets = items.flatMap(({ metadata: { name, labels }, status: { podIP } }) => {
      const { app = '', color = '' } = labels
      if (!podIP || !color) return []
      return { targets: [`${podIP}:9091`], labels: { app, color, pod: name, namespace: workspace.namespace } }
    })
    writeFileSync(`${file}.new`, JSON.stringify(targets))
    renameSync(`${file}.new`, file)
  }
  const timer = setInterval(() => void look().catch(() => {}), 2000)
  return () => clearInterval(timer)
}

async function spoil(url: string, what: Record<string, string>, pods: number): Promise<void> {
  const told = new Set<unknown>()
  await until(`${pods} pods to be told`, async () => {
    const answer = await fetch(`${url}/faults`, {
      method: 'POST',
      body: JSON.stringify(what),
      keepalive: false,
    })
    told.add(Reflect.get(Object(await answer.json()), 'pod'))
    return told.size >= pods || undefined
  })
}

interface Result {
  name: string
  code: number
  back?: number
  failed: number
  requests: number
  reason: string
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
    const targets = join(workspace.folder, 'targets.json')
    writeFileSync(targets, '[]')
    const scrape = { job_name: 'pods', file_sd_configs: [{ files: [targets], refresh_interval: '5s' }] }
    const global = { scrape_interval: `${EVERY}s`, scrape_timeout: '3s' }
    await using prometheus = await startPrometheus(workspace.folder, { global, scrape_configs: [scrape] })
    const { code, stderr } = await workspace.deploy('1.0.0')
    if (code !== 0) throw new Error(stderr)
    const end = discover(workspace, targets)
    const met: Met[] = []
    const stop = users(workspace.url, met)
    await Bun.sleep(60_000) // what is normal
    stop()
    const results: Result[] = []
    for (const fault of plays.filter(({ name }) => chosen.length === 0 || chosen.includes(name)))
      results.push(await play(workspace, prometheus.url, fault))
    end()
    if (chosen.length === 0)
      writeResults(
        `bake-faults-${rehearsal.cluster.kind}`,
        `Faults that begin after the switch (${rehearsal.cluster.kind})`,
        ['fault', 'exit', 'until it goes back', 'requests until then', 'failed in all', 'reason'],
        results.map(({ name, code, back, requests, failed, reason }) => [
          name,
          String(code),
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
