/**
 * What both colors share is applied first, and on it the application's migration Job runs: before the new color
 * starts, while the old one keeps running on the same database.
 */
import { seconds, waitUntil } from '../clock.ts'
import { events, get, getNamed, remove } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import { job, pod } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'
import { explained, podBreakdown, type Since } from './breakdown.ts'
import { applyAll } from './manifests.ts'
import type { Rendered } from './paint.ts'

/** How long a Job may be without a pod, in ms; then its events say why. */
const NO_POD = 10_000

/** Applies what is shared and runs the migration, if there is one. @throws DeployError (1) with the Job's own log */
export async function migrate(
  world: World,
  { shared, migration }: Pick<Rendered, 'shared' | 'migration'>,
): Promise<void> {
  const { log } = world
  const jobs = migration.filter(({ kind }) => kind === 'Job').map(({ metadata }) => metadata.name)
  log.step(jobs.length > 0 ? 'Apply what is shared, migrate the database' : 'Apply what is shared')
  if (jobs.length > 0) await makeRoom(world, jobs)
  if (shared.length + migration.length > 0) await applyAll(world, [...shared, ...migration])
  for (const name of jobs) await waitForJob(world, name)
}

/**
 * A Job's template cannot be changed: the one of the last release is deleted. Of a run that was killed it may still be
 * at work, and for as long as its grace period after it was told to end: two must not meet in one database.
 * @throws DeployError (70) naming what still runs after `timeouts.migration`
 */
async function makeRoom(world: World, jobs: readonly string[]): Promise<void> {
  const { clock, signal, log, environment, kubectl } = world
  await kubectl.write(remove('job', jobs, '--cascade=foreground', '--wait=false'))
  const look = async (): Promise<{ done: undefined } | string> => {
    const [left, pods] = await Promise.all([
      kubectl.objects(getNamed(...jobs.map((name) => `job/${name}`)), job),
      kubectl.objects(get(['pods'], `--selector=job-name in (${jobs.join(',')})`), pod),
    ])
    const running = pods.filter(({ status }) => status.phase !== 'Succeeded' && status.phase !== 'Failed')
    const names = running.map(({ metadata, spec }) => `pod/${metadata.name} on ${spec.nodeName || 'no node'}`)
    if (names.length === 0 && left.length === 0) return { done: undefined }
    return names.join(', ') || left.map(({ metadata }) => `job/${metadata.name}`).join(', ')
  }
  const { context, namespace, timeouts } = environment
  await waitUntil(look, {
    clock,
    signal,
    within: timeouts.migration,
    every: 300,
    what: 'The migration of the last run did not end',
    progress: (state) => log.progress(`the migration of the last run still ends: ${state}`),
    timeout: (state) =>
      new DeployError(
        `The migration of the last run did not end within ${seconds(timeouts.migration)}, and two must not run at once: ${state}. ` +
          `Wait for it; if its node is off for good: kubectl --context ${context} -n ${namespace} delete pod/NAME --force --grace-period=0`,
        Exit.timedOut,
      ),
  })
}

async function waitForJob(world: World, name: string): Promise<void> {
  const { clock, signal, log, environment, kubectl } = world
  const since: Since = new Map()
  const began = clock.monotonic()
  const look = async (): Promise<{ done: undefined } | string> => {
    const [[found], pods] = await Promise.all([
      kubectl.objects(getNamed(`job/${name}`), job),
      kubectl.objects(get(['pods'], `--selector=job-name=${name}`), pod),
    ])
    const met = (wanted: string) =>
      found?.status.conditions.find(({ type, status }) => type === wanted && status === 'True')
    if (met('Complete')) return { done: undefined }
    const failed = met('Failed')
    if (failed) throw await withLog(world, name, `${failed.reason}: ${failed.message}`)
    if (pods.length === 0 && clock.monotonic() - began > NO_POD) throw await withoutPods(kubectl, name)
    const now = clock.monotonic()
    const when = { since, now, schedule: environment.timeouts.schedule, ready: Number.POSITIVE_INFINITY }
    const broken = pods.map((each) => podBreakdown(each, when)).find((each) => each !== undefined)
    // A container that exits is the Job's to count: backoffLimit says how often.
    if (broken && !broken.exits) throw await explained(world, 'The migration', broken)
    return found ? `job/${name} runs` : `job/${name} is gone`
  }
  const progress = (state: string) => log.progress(state)
  const within = environment.timeouts.migration
  await waitUntil(look, { clock, signal, within, every: 500, progress, what: `job/${name} was not done` })
}

async function withLog({ kubectl, log }: World, name: string, why: string): Promise<DeployError> {
  const pods = `--selector=job-name=${name}`
  const [last] = (await kubectl.objects(get(['pods'], pods), pod)).toReversed()
  const [logged, happened] = await Promise.all([
    kubectl.ask(['kubectl', 'logs', pods, '--tail=250']),
    kubectl.ask(events(last?.metadata.name ?? name)),
  ])
  if (happened.stdout.trim()) log.block(`events of job/${name}'s last pod`, happened.stdout)
  log.block(`last log lines of job/${name}`, logged.stdout.trim() || '(it logged nothing)')
  return new DeployError(`The migration failed: job/${name}: ${why}`)
}

async function withoutPods(kubectl: Kubectl, name: string): Promise<DeployError> {
  const { stdout } = await kubectl.ask(events(name))
  const last = stdout.trim().split('\n').at(-1) ?? ''
  return new DeployError(`The migration has no pod: job/${name}: ${last}`)
}
