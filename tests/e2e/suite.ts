/** What the end-to-end tests share: one cluster for a file, so many tests at a time, and how a run is judged. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Finished } from '../../examples/rehearsal/program.ts'
import { startRehearsal, type Rehearsal } from '../../examples/rehearsal/rehearsal.ts'
import type { Workspace } from '../../examples/rehearsal/workspace.ts'
import { failed, failures, type Sample } from '../../examples/rehearsal/traffic.ts'

/** Far above what anything here takes: a test that hangs is to fail, a slow machine is not. */
const LIMIT = 900_000

/** Its workspaces end with the test that opens them, but for those that are for all. */
type Stage = Rehearsal & { openForAll: Rehearsal['open'] }

/** Starts a cluster for the tests of a file, and stops it after them. */
export function rehearsal(): () => Stage {
  let running: Rehearsal | undefined
  beforeAll(async () => {
    running = await startRehearsal()
  }, LIMIT)
  afterAll(async () => {
    await running?.close()
  }, LIMIT)
  return () => {
    if (!running) throw new Error('the cluster has not started')
    const stage = running
    return {
      ...stage,
      openForAll: (...wishes) => stage.open(...wishes),
      open: async (...wishes) => {
        const workspace = await stage.open(...wishes)
        opened.getStore()?.push(workspace)
        return workspace
      },
    }
  }
}

/** The workspaces of the test that is running: its pods are gone when it ends, and leave the others the machine. */
const opened = new AsyncLocalStorage<Workspace[]>()

/** Whether the suite runs on a real cluster. */
export const REAL = process.env.E2E_CLUSTER === 'real'

/** Each test starts programs by the hundred. Where one takes over 2 ms, as in some virtual machines, that is most of it. */
function programsStartSlowly(): boolean {
  const started = performance.now()
  for (let count = 0; count < 20; count++) Bun.spawnSync(['true'])
  return performance.now() - started > 40
}

/**
 * How many tests of a file run at the same time; more only wait for each other on two cores. On the sandbox two files run
 * beside each other, on a real cluster one, and its containers take their time.
 */
const AT_ONCE = (REAL ? 3 : 2) - (programsStartSlowly() ? 1 : 0)

/**
 * Whether of a long list of cases, which differ in what these scripts decide and not in what a cluster answers, only so
 * many run that each answer is met: on a real cluster, whose containers take their time. CASES=all and CASES=few choose
 * for either kind.
 */
export const FEW = (process.env.CASES ?? (REAL ? 'few' : 'all')) === 'few'

let free = AT_ONCE
const waiting: (() => void)[] = []

/** A test that runs beside others, as soon as there is room. Bun's clock runs while it waits; LIMIT is its own. */
export function safely(name: string, body: () => Promise<void>): void {
  test.concurrent(
    name,
    async () => {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        await within(LIMIT, withItsOwn(body))
      } finally {
        const next = waiting.shift()
        if (next) next()
        else free++
      }
    },
    10 * LIMIT,
  )
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: Timer | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it has not ended within ${ms / 1000} s`)), ms)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** A test that has the machine for itself: what it measures is to be the application. */
export function alone(name: string, body: () => Promise<void>): void {
  test(name, async () => await withItsOwn(body), LIMIT)
}

async function withItsOwn(body: () => Promise<void>): Promise<void> {
  const workspaces: Workspace[] = []
  try {
    await opened.run(workspaces, body)
  } finally {
    await Promise.all(workspaces.map((workspace) => workspace.close()))
  }
}

/** The exit code that is meant, or all that the run said. And never a stack trace. */
export function exits(result: Finished, code: number): Finished {
  if (result.code !== code)
    throw new Error(`exit ${result.code}, not ${code}, and it said:\n${result.stderr}`)
  expect(result.stderr).not.toContain('This is a bug of the scripts')
  expect(result.stderr).not.toMatch(/^\s+at .+:\d+:\d+\)?$/m)
  return result
}

/** Users noticed nothing. */
export function unharmed(samples: readonly Sample[], atLeast = 1): void {
  for (const { at, done, kind, error } of samples.filter(failed).slice(0, 10))
    console.error(`${new Date(at).toISOString()} ${kind}: ${error} after ${done - at} ms`)
  expect(failures(samples)).toEqual([])
  expect(samples.length).toBeGreaterThanOrEqual(atLeast)
}

/** Versions that answered users. */
export const versions = (samples: readonly Sample[]): string[] => [
  ...new Set(samples.flatMap(({ version }) => version ?? [])),
]

/** Samples of requests that were sent after a moment. */
export const since = (samples: readonly Sample[], moment: number): Sample[] =>
  samples.filter(({ at }) => at > moment)
