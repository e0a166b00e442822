/**
 * `make bench-load`: the performance gate's load generator beside hey, and wrk, on the same servers in the same run:
 * whether it delivers the rate that is asked, what it costs, and whether it tells the percentiles that are true.
 * Written to bench/results-load.md.
 */
import { ROOT } from '../examples/rehearsal/program.ts'
import { LATENCIES, percentile } from './latencies.ts'
import { median, writeResults } from './measure.ts'

const SECONDS = 5
const ROUNDS = 3
const RATES = [100, 250, 500, 1000, 2000, 4000, 8000]
/** Requests a second on the server whose latencies are known: its whole table in one round. */
const KNOWN = LATENCIES.length / SECONDS

/** As hey and wrk both print it. */
const RATE = /Requests\/sec:\s+([\d.]+)/

interface Measured {
  /** Requests a second. */
  delivered: number
  /** ms */
  p50: number
  p90: number
  p99: number
  /** CPU seconds of the generator for a thousand requests. */
  cpu: number
}

type Generator = (url: string, rate: number) => Promise<Measured>

/** @throws Error with what the program said */
async function cost(command: readonly string[]): Promise<{ text: string; cpu: number }> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdout: 'pipe', stderr: 'pipe' })
  const [text, said, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  if (code !== 0) throw new Error(`${command.join(' ')} exited with ${code}: ${said}`)
  return { text, cpu: Number(child.resourceUsage()?.cpuTime.total) / 1e6 }
}

/** A figure in what a program printed. @throws Error when it is not there: a table may not hold what nobody measured */
function told(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1]
  if (found === undefined) throw new Error(`${pattern} is not in: ${text}`)
  return Number(found)
}

const perThousand = (cpu: number, delivered: number): number => (cpu / (delivered * SECONDS)) * 1000

const gate: Generator = async (url, rate) => {
  const { text, cpu } = await cost([process.execPath, 'bench/generate.ts', url, `${rate}`, `${SECONDS}`])
  const figures: Omit<Measured, 'cpu'> = JSON.parse(text)
  return { ...figures, cpu: perThousand(cpu, figures.delivered) }
}

/** Fifty workers with a share of the rate each; one that waits for its answer sends nothing meanwhile. */
const hey: Generator = async (url, rate) => {
  const { text, cpu } = await cost(['hey', '-z', `${SECONDS}s`, '-c', '50', '-q', `${rate / 50}`, url])
  const at = (percent: number): number => told(text, new RegExp(`${percent}%+ in ([\\d.]+) secs`)) * 1000
  const delivered = told(text, RATE)
  return { delivered, p50: at(50), p90: at(90), p99: at(99), cpu: perThousand(cpu, delivered) }
}

/** It has no rate: as many requests as ten connections take. */
async function wrk(url: string): Promise<Pick<Measured, 'delivered' | 'cpu'>> {
  const { text, cpu } = await cost(['wrk', '-t1', '-c10', `-d${SECONDS}s`, url])
  const delivered = told(text, RATE)
  return { delivered, cpu: perThousand(cpu, delivered) }
}

async function serve(...words: string[]) {
  const child = Bun.spawn([process.execPath, 'bench/sleeper.ts', ...words], { cwd: ROOT, stdout: 'pipe' })
  const { value } = await child.stdout.getReader().read()
  const url = new TextDecoder().decode(value).trim()
  return { url, [Symbol.asyncDispose]: async () => void (child.kill(), await child.exited) }
}

/** Both generators in turn, several times; the median of each figure. */
async function pair(url: string, rate: number): Promise<{ ours: Measured; theirs: Measured }> {
  const runs: { ours: Measured; theirs: Measured }[] = []
  for (let i = 0; i < ROUNDS; i++) runs.push({ ours: await gate(url, rate), theirs: await hey(url, rate) })
  const of = (side: 'ours' | 'theirs'): Measured => {
    const middle = (name: keyof Measured): number => median(runs.map((run) => run[side][name]))
    return {
      delivered: middle('delivered'),
      p50: middle('p50'),
      p90: middle('p90'),
      p99: middle('p99'),
      cpu: middle('cpu'),
    }
  }
  return { ours: of('ours'), theirs: of('theirs') }
}

const rows: string[][] = []
function add(...row: string[]): void {
  rows.push(row)
  console.error(row.join('  '))
}

const figure = (value: number): string => value.toPrecision(3)
const share = (value: number, of: number): string => `${((value / of) * 100).toFixed(1)} %`

const tools = ['hey', 'wrk'].filter((tool) => !Bun.which(tool))
if (tools.length > 0) {
  console.error(`${tools.join(', ')} is not on PATH. Install it: apt-get install ${tools.join(' ')}`)
  process.exit(2)
}
{
  await using server = await serve()
  for (const rate of RATES) {
    const { ours, theirs } = await pair(server.url, rate)
    const [delivered, cpu] = [share(ours.delivered, rate), figure(ours.cpu)]
    add(`${rate} requests/s: delivered`, delivered, share(theirs.delivered, rate))
    add(`${rate} requests/s: CPU s per 1,000 requests`, cpu, figure(theirs.cpu))
  }
  const closed = await wrk(server.url)
  add(
    `wrk, 10 connections, ${Math.round(closed.delivered)} requests/s: CPU s per 1,000`,
    '',
    figure(closed.cpu),
  )
}
{
  await using server = await serve('sleeps')
  const { ours, theirs } = await pair(server.url, KNOWN)
  for (const name of ['p50', 'p90', 'p99'] as const) {
    const truth = percentile(Number(name.slice(1)))
    const beside = (value: number): string => `${value.toFixed(1)} ms, ${share(value, truth)}`
    add(`known latencies: ${name}, ${truth.toFixed(1)} ms in truth`, beside(ours[name]), beside(theirs[name]))
  }
}
writeResults('load', 'The load generator', ['what', 'the gate', 'hey (wrk where it says so)'], rows)
