/** What the tests of the way back share: sickness, what is left of the old color, and whether what was said is true. */
import { expect } from 'bun:test'
import { z } from 'zod'
import { until, type Finished } from '../../examples/rehearsal/program.ts'
import { APP, TIMES, WITNESS, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { REAL } from './suite.ts'

/** What is waited for in vain ends soon; containers of a real cluster take their time. */
export const SHORT: Settings = {
  timeouts: { ...TIMES, ...(REAL ? { ready: '60s' } : { rollout: '20s', ready: '8s' }) },
}

/** Of a release that fails users: the deployment notices nothing, as if it had failed later. */
export const TOLERANT: Settings = {
  witness: { ...WITNESS, allowedFailures: 1_000_000 },
  afterSwitch: 'keep',
}

/** What fails users, and no gate. */
export const BAD = { FAULT_LIVE_ERROR_RATE: '0.5' }

/** The release in a color begins to fail whoever asks, gates too. */
export async function fallsIll(workspace: Workspace, color: string): Promise<void> {
  const deployment = `deployment/${APP}-${color}`
  await workspace.kubectl('set', 'env', deployment, 'FAULT_ERROR_RATE=0.8')
  await workspace.kubectl('rollout', 'status', deployment, '--timeout=120s')
}

const readyPods = async (workspace: Workspace, color: string): Promise<number> => {
  const path = 'jsonpath={.status.readyReplicas}'
  const name = `${APP}-${color}`
  const told = await workspace.kubectl('get', 'deployment', name, '--ignore-not-found', '-o', path)
  return Number(told || 0)
}

const untilReady = async (workspace: Workspace, color: string, pods: number): Promise<void> =>
  void (await until(`${pods} ready pods in ${color}`, async () =>
    (await readyPods(workspace, color)) === pods ? true : undefined,
  ))

/** Every pod has been told to end: its object may linger for a minute. */
const untilLeaving = async (workspace: Workspace, color: string): Promise<void> =>
  void (await until(`${color} to be left by its pods`, async () => {
    const path = 'jsonpath={range .items[*]}{.metadata.name}={.metadata.deletionTimestamp} {end}'
    const told = await workspace.kubectl('get', 'pods', '-l', `color=${color}`, '-o', path)
    return /=( |$)/.test(told) ? undefined : true
  }))

const podsOf = async (workspace: Workspace, color: string): Promise<string[]> => {
  const names = await workspace.kubectl('get', 'pods', '-l', `color=${color}`, '-o', 'name')
  return names.trim().split('\n').filter(Boolean)
}

/** What can be left of the color that users were on, of two pods; each resolves once it is so. */
export const states = {
  full: async () => {},
  /** A pod that died, and whose successor cannot start: of the pods that serve none is touched. */
  'one pod unready': async (workspace: Workspace, color: string) => {
    await workspace.kubectl('delete', 'configmap', `${APP}-config-${color}`)
    const [pod = ''] = await podsOf(workspace, color)
    await workspace.kubectl('delete', pod, '--wait=false')
    await untilReady(workspace, color, 1)
    const path = 'jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}'
    await until('a pod that cannot start', async () => {
      const reasons = await workspace.kubectl('get', 'pods', '-l', `color=${color}`, '-o', path)
      return reasons.includes('CreateContainerConfigError') || undefined
    })
  },
  'one pod fewer under a full quota': async (workspace: Workspace, color: string) => {
    const all = await workspace.kubectl('get', 'pods', '-o', 'name')
    const room = all.trim().split('\n').length - 1
    await workspace.kubectl('create', 'quota', 'tight', `--hard=pods=${room}`)
    // A real quota controller counts first; until then it refuses nothing.
    const used = 'jsonpath={.status.used.pods}'
    await until('the quota to count', async () =>
      (await workspace.kubectl('get', 'quota', 'tight', '-o', used)) ? true : undefined,
    )
    const [pod = ''] = await podsOf(workspace, color)
    await workspace.kubectl('delete', pod)
    await untilReady(workspace, color, 1)
  },
  'scaled down': async (workspace: Workspace, color: string) => {
    await workspace.kubectl('scale', 'deployment', `${APP}-${color}`, '--replicas=0')
    await untilLeaving(workspace, color)
  },
  crashed: async (workspace: Workspace, color: string) => {
    const crash = [{ name: 'app', env: [{ name: 'FAULT_CRASH_AT_START', value: '1' }] }]
    const spec = {
      strategy: { rollingUpdate: { maxUnavailable: '100%' } },
      template: { spec: { containers: crash } },
    }
    await workspace.kubectl('patch', 'deployment', `${APP}-${color}`, '-p', JSON.stringify({ spec }))
    await untilReady(workspace, color, 0)
  },
  gone: async (workspace: Workspace, color: string) => {
    await workspace.kubectl('delete', 'deployment', `${APP}-${color}`)
    await untilLeaving(workspace, color)
  },
} as const satisfies Record<string, (workspace: Workspace, color: string) => Promise<void>>

export type State = keyof typeof states

/** Enough that a color which is still served beside the other would be met. */
const ANSWERS = 6

/** The version that users get on new connections: one, or the names of all that they meet. */
export async function outside(workspace: Workspace): Promise<string> {
  const met: string[] = []
  // Proxies follow a moment after the API server, and then each request is answered by whom it is meant for.
  await Bun.sleep(REAL ? 2000 : 200)
  await until(`${ANSWERS} answers of ${workspace.url}`, async () => {
    const fresh = { headers: { connection: 'close' }, keepalive: false, signal: AbortSignal.timeout(5000) }
    const answer = await fetch(`${workspace.url}/version`, fresh)
    const text = await answer.text()
    if (answer.ok) met.push(z.object({ version: z.string() }).parse(JSON.parse(text)).version)
    return met.length >= ANSWERS || undefined
  })
  return [...new Set(met)].toSorted().join(' and ')
}

/** How a run ends: its last sentence, with the command that it prints, or the status. */
export function verdict({ stderr }: Finished): string {
  const lines = stderr.trimEnd().split('\n')
  return lines.slice(lines.findLastIndex((line) => !line.startsWith(' '))).join('\n')
}

/**
 * Users get this version alone, and the run's last words say so (but for exit code 1, which itself says that nobody was
 * moved). They name no color as the users' that is not, and print no command which would send users to a color without a
 * ready pod, or back to what they were brought away from.
 */
export async function tellsTheTruth(workspace: Workspace, run: Finished, version: string): Promise<void> {
  expect(await outside(workspace)).toBe(version)
  const { color = '' } = await workspace.selector()
  const words = verdict(run)
  if (run.code !== 1) expect(/^ +live .*$/m.exec(words)?.[0] ?? words).toContain(version)
  namesNoOtherColor(words, color)
  for (const [, to = ''] of words.matchAll(/"color":"(blue|green)"/g)) {
    expect(`${to}: ${await readyPods(workspace, to)} ready`).not.toBe(`${to}: 0 ready`)
    if (version === '1.0.0') expect(to).toBe(color)
  }
}

/** Whoever says where users are says where they are. */
export function namesNoOtherColor(words: string, color: string): void {
  const named = [...words.matchAll(/users (?:are|stay) on (?:\S+ \()?(blue|green)/gi)].map(([, name]) => name)
  expect(named.filter((name) => name !== color)).toEqual([])
}

/** Nothing is left for the next command, or for a person. */
export async function nothingLeft(workspace: Workspace): Promise<void> {
  const { unfinished, lock, problem } = await workspace.status()
  expect({ unfinished, lock, problem }).toEqual({ unfinished: [], lock: undefined, problem: undefined })
}
