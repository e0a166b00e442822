/**
 * A world for the procedures: a cluster that records, an application that answers for the color which is live,
 * time that passes when it is slept, and a log to read.
 */
import type { CheckResult, Gate, Gates, Target, Verdict } from '../../lib/check.ts'
import { observe, type Observed } from '../../lib/app/observe.ts'
import type { Color } from '../../lib/app/color.ts'
import { key } from '../../lib/app/color.ts'
import type { Clock } from '../../lib/clock.ts'
import { loadEnvironment } from '../../lib/settings/load.ts'
import type { Environment } from '../../lib/settings/file.ts'
import { DeployError } from '../../lib/errors.ts'
import { Kubectl } from '../../lib/cluster/kubectl.ts'
import type { Log } from '../../lib/log.ts'
import type { World } from '../../lib/cluster/world.ts'
import { Cluster } from './cluster.ts'
import { APP, autoscaler, deployment, live, made, service } from './objects.ts'

/** Time that passes only when somebody sleeps. */
export class FakeClock implements Clock {
  readonly slept: number[] = []
  /** What happens while so many ms pass. */
  readonly during = new Map<number, () => unknown>()
  #wall = Date.parse('2026-11-23T08:00:00Z')
  #passed = 0

  now = (): number => this.#wall + this.#passed

  monotonic = (): number => this.#passed

  /** Somebody sets the wall clock. */
  set = (by: number): void => void (this.#wall += by)

  sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
    this.slept.push(ms)
    this.#passed += ms
    await this.during.get(ms)?.()
    await new Promise((resolve) => setImmediate(resolve))
    signal?.throwIfAborted()
  }
}

export class RecordingLog implements Log {
  readonly steps: string[] = []
  readonly lines: string[] = []
  readonly warnings: string[] = []
  ended = 0
  step = (name: string): void => void this.steps.push(name)
  progress = (state: string): void => void this.lines.push(state)
  draw = (): void => {}
  info = (line: string): void => void this.lines.push(line)
  warn = (line: string): void => void this.warnings.push(line)
  block = (title: string, text: string): void => void this.lines.push(title, text)
  done = (): void => void this.ended++
  undone = (): void => void this.lines.push(`✗ ${this.steps.at(-1)}`)
}

/** Times that nothing else sleeps for, by which a test finds the moment. */
export const moments = { before: 1111, after: 3333, drain: 7777, overlap: 9999 } as const

/** The application behind a Service, counting whom it serves. */
export class App {
  kept = 0
  all = 0
  /** Answers in the application's place. */
  answer: ((request: Request) => Response) | undefined
  readonly #server

  constructor(color: () => unknown) {
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) => {
        this.all++
        if (request.headers.get('connection') !== 'close') this.kept++
        return this.answer?.(request) ?? Response.json({ color: color() })
      },
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`
  }

  /** Until a connection that is kept has been answered twice: a third request shows it. */
  async watched(): Promise<void> {
    const enough = this.kept + 3
    while (this.kept < enough) await Bun.sleep(1)
  }

  /** A witness that was not stopped would ask what was due in the last of these ten seconds. */
  async silentUnder(clock: Clock): Promise<void> {
    const asked = this.all
    await clock.sleep(10_000)
    await Bun.sleep(30)
    if (this.all !== asked) throw new Error(`the witness was not stopped: ${this.all - asked} more requests`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true)
  }
}

export interface Rehearsal extends AsyncDisposable {
  world: World
  cluster: Cluster
  clock: FakeClock
  log: RecordingLog
  app: App
  /** Behind the preview. */
  preview: App
  /** As a signal does it. */
  interrupt: () => void
  observed: () => Promise<Observed>
}

/** A cluster with 1.0.0 live in blue, and a world to deploy into it from. */
export function rehearse(settings: Partial<Environment> = {}): Rehearsal {
  const cluster = new Cluster()
  const clock = new FakeClock()
  const log = new RecordingLog()
  const behind = (name: string) => new App(() => Reflect.get(Object(cluster.selector(name)), 'color'))
  const [app, preview] = [behind(APP), behind(`${APP}-preview`)]
  const stop = new AbortController()
  const { signal } = stop
  const declared = loadEnvironment(`${import.meta.dir}/deploy.yaml`, 'test', {})
  const { before, after, drain, overlap } = moments
  const witness = { ...declared.witness, before, after }
  const urls = { url: app.url, previewUrl: preview.url }
  const environment = { ...declared, ...urls, witness, drain, overlap, ...settings }
  for (const moment of [before, after]) clock.during.set(moment, () => app.watched())
  const kubectl = new Kubectl(environment, cluster, clock, signal)
  return {
    world: {
      environment,
      kubectl,
      shell: cluster,
      clock,
      log,
      signal,
      by: 'alice@laptop',
      reports: 'nowhere',
    },
    cluster,
    clock,
    log,
    app,
    preview,
    interrupt: () => stop.abort(new DeployError('Interrupted (SIGINT)', 130)),
    observed: () => observe(APP, kubectl),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([app[Symbol.asyncDispose](), preview[Symbol.asyncDispose]()])
    },
  }
}

/** Puts a release into a color, and the Services with the color that is live. */
export function running(cluster: Cluster, colors: Partial<Record<Color, string>>, selected: Color): void {
  for (const color of ['blue', 'green'] as const) {
    const version = colors[color]
    if (!version) continue
    cluster.put(deployment(color, made(version)))
    cluster.put(autoscaler(color))
  }
  for (const [name, color] of [
    [APP, selected],
    [`${APP}-preview`, selected === 'blue' ? 'green' : 'blue'],
  ] as const) {
    cluster.put({ ...service(name), spec: { selector: live(color) } })
  }
}

/** What the scripts wrote when they last moved traffic: from blue with 1.0.0 to green with 1.1.0. */
export function lastSwitch(cluster: Cluster, about: object = {}): void {
  const before = cluster.object('Service', APP)
  const change = {
    id: 'r1.1.0',
    kind: 'deploy',
    from: { color: 'blue', ...made('1.0.0') },
    to: { color: 'green', ...made('1.1.0') },
    by: 'bob',
    at: '2026-11-23T07:00:00Z',
    ...about,
  }
  const annotations = { [key.switch]: JSON.stringify(change), [key.lock]: 'r1.1.0' }
  cluster.put({ ...before, metadata: { ...before.metadata, annotations } })
}

export type Says = Verdict | ((target: Target) => Verdict | Promise<Verdict>)

/** Gates that say what a test wants (after going back, what they said before), and remember where they were pointed. */
export function gates(
  says: { preview?: Says; live?: Says; back?: Says } = {},
): Gates & { asked: string[]; told: unknown[] } {
  const asked: string[] = []
  /** What they were told that a release went live with. */
  const told: unknown[] = []
  const gate =
    (name: 'preview' | 'live' | 'back'): Gate =>
    async (target) => {
      asked.push(`${name} ${target.color ?? ''}`.trim())
      const said = says[name] ?? (name === 'back' ? says.live : undefined) ?? 'passed'
      const verdict = typeof said === 'function' ? await said(target) : said
      const result = { gate: 'smoke', name, verdict, ms: 1, expected: 'health', seen: verdict }
      return [result satisfies CheckResult]
    }
  return {
    names: ['smoke'],
    kept: [{ name: 'health', fingerprint: 'f' }],
    preview: gate('preview'),
    live: gate('live'),
    back: (kept) => {
      told.push(kept)
      return gate('back')
    },
    asked,
    told,
  }
}

/** The exit code and the sentence of what a procedure throws. */
export async function failure(work: Promise<unknown>): Promise<{ code: number | string; message: string }> {
  try {
    await work
  } catch (error) {
    if (error instanceof DeployError) return { code: error.exitCode, message: error.message }
    return { code: 'a bug', message: String(error) }
  }
  return { code: 0, message: '' }
}
