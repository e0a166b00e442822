/**
 * `make bench-alarms`: the whole gate, again and again, on what is healthy: the example application, a hardened nginx and
 * a server of Python's, each behind a plain proxy, one that answers 503 to hosts that it does not know, and one that
 * doubles headers; compared with a live color that is the same. Nothing may be found. Written to bench/results-alarms.md.
 *
 *     bun bench/alarms.ts [rounds, 20] [example,nginx,python] [plain,strict,doubling]
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../examples/rehearsal/program.ts'
import { ALL_GATES } from '../examples/rehearsal/workspace.ts'
import { objections, type CheckResult } from '../lib/check.ts'
import { loadEnvironment } from '../lib/settings/load.ts'
import { gatesOf } from '../verify/gates.ts'
import { writeResults } from './measure.ts'

const [rounds = '20', names = 'example,nginx,python', proxies = 'plain,strict,doubling'] =
  process.argv.slice(2)

process.env['VERIFIER_PASSWORD'] = 'verifier-password'
process.env['BYSTANDER_PASSWORD'] = 'bystander-password'

/** Ordinary settings but for their length: a thousand requests, as p99 needs, in five seconds; Lighthouse once. */
const LOAD = { rate: 200, duration: '5s', warmup: '1s', liveRate: 20 }
const SMOKE = [{ name: 'the page is served', path: '/', expect: { text: '<title>' } }]
const settings: Record<string, object> = {
  example: {
    ...ALL_GATES,
    performance: { ...ALL_GATES.performance, ...LOAD },
    security: { ...ALL_GATES.security, rate: 50 },
    smoke: [
      ...SMOKE,
      { name: 'it is ready', path: '/ready' },
      { name: 'conversations are protected', path: '/api/conversations', expect: { status: 401 } },
    ],
  },
}
const site = { smoke: SMOKE, performance: LOAD, security: { rate: 50 }, pageQuality: { runs: 1 } }

async function serve(name: string, kind: string) {
  const child = Bun.spawn([process.execPath, 'bench/healthy-servers.ts', name, kind], {
    cwd: ROOT,
    stdin: 'pipe',
    stdout: 'pipe',
  })
  const { value } = await child.stdout.getReader().read()
  const url = new TextDecoder().decode(value).trim()
  return { url, [Symbol.asyncDispose]: async () => void (await child.stdin.end(), await child.exited) }
}

/** Every kind of check on a server that nobody has asked yet, beside one that has been live for a while. */
async function round(name: string, kind: string, live: string, folder: string): Promise<CheckResult[]> {
  await using server = await serve(name, kind)
  const file = join(folder, 'deploy.yaml')
  const environment = { context: 'none', namespace: 'none', manifests: ROOT, url: live }
  const declared = { app: name, image: `localhost/${name}`, ...(settings[name] ?? site) }
  await writeFile(file, JSON.stringify({ ...declared, environments: { healthy: environment } }))
  const gates = gatesOf(loadEnvironment(file, 'healthy', process.env))
  const target = { url: server.url, live, address: live, verification: 'alarms', pods: 1, evidence: folder }
  return await gates.preview(target, new AbortController().signal)
}

/** What security told of without stopping anybody; it is not asked where smoke fails. */
async function told(folder: string): Promise<string[]> {
  const { findings }: { findings: { id: string; severity: string }[] } = JSON.parse(
    await readFile(join(folder, 'security.json'), 'utf8').catch(() => '{"findings":[]}'),
  )
  return findings.map(({ id, severity }) => `${id} (${severity})`)
}

/** What has come of a server behind a proxy, so far. */
interface Tally {
  name: string
  kind: string
  live: string
  rounds: number
  clean: number
  /** Of the machine, each time. */
  loads: number[]
  alarms: Map<string, number>
  hints: Set<string>
}

async function tried(tally: Tally): Promise<void> {
  const { name, kind, live, loads, alarms, hints } = tally
  const folder = await mkdtemp(join(tmpdir(), 'alarms-'))
  const results = await round(name, kind, live, folder)
  tally.rounds++
  const bad = objections(results)
  if (bad.length === 0) tally.clean++
  loads.push(loadavg()[0] ?? NaN)
  for (const { gate, name, verdict } of bad) {
    const alarm = `${gate}: ${name}, ${verdict}`
    alarms.set(alarm, (alarms.get(alarm) ?? 0) + 1)
  }
  for (const hint of await told(folder)) hints.add(hint)
  const seen = bad.map(({ gate, name, verdict, seen }) => `\n  ${verdict} ${gate}: ${name}: ${seen}`)
  const load = loads.at(-1)?.toFixed(1)
  console.error(`${name}, ${kind} proxy, round ${tally.rounds}, load ${load}: ${bad.length}${seen.join('')}`)
  await rm(folder, { recursive: true })
}

function row({ name, kind, rounds, clean, loads, alarms, hints }: Tally): string[] {
  const found = [...alarms].map(([alarm, times]) => `${alarm} × ${times}`).join('; ')
  const load = [Math.min(...loads), Math.max(...loads)].map((one) => one.toFixed(0)).join('–')
  return [name, kind, `${rounds}`, `${clean}`, load, found || 'nothing', [...hints].join(', ') || 'nothing']
}

await using servers = new AsyncDisposableStack()
const tallies: Tally[] = []
for (const name of names.split(',')) {
  for (const kind of proxies.split(',')) {
    const { url: live } = servers.use(await serve(name, kind))
    tallies.push({ name, kind, live, rounds: 0, clean: 0, loads: [], alarms: new Map(), hints: new Set() })
  }
}
const head = ['server', 'proxy', 'rounds', 'nothing found', 'load', 'found', 'told, stops nobody']
for (let i = 0; i < Number(rounds); i++) {
  for (const tally of tallies) await tried(tally)
  // After each: who stops it keeps what there is.
  const how = 'Each round on a new server, beside one that has been live through all of them'
  writeResults('alarms', 'False alarms of the whole gate', head, tallies.map(row), how)
}
