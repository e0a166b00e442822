/** Why pods of a color are not ready: the first half of "checks fail". Pure. */
import type { Place } from '../app/color.ts'
import type { ContainerStatus } from '../cluster/objects.ts'
import { quantity } from '../app/quantity.ts'
import { called, eventsOf, lastProbe, mayStart, podsOf, stateOf, type Case } from './case.ts'
import { describePod, kubectl, logsOf, type Cause, type CauseId } from './cause.ts'
import { told } from './logs.ts'
import type { Happened, SeenPod } from './seen.ts'

export function podCauses(about: Case, place: Place): Cause[] {
  const sick = podsOf(about, place).flatMap((pod) => podCause(about, place, pod) ?? [])
  // The same of three pods is one cause.
  const byId = [...Map.groupBy(sick, ({ id }) => id).values()]
  const together = byId.flatMap(([first, ...rest]) =>
    first ? [{ ...first, evidence: [...first.evidence, ...rest.flatMap(({ evidence }) => evidence)] }] : [],
  )
  return [...refused(about, place), ...together]
}

/** What a cause of a color has in common. */
const causeOf = (
  about: Case,
  place: Place,
  id: CauseId,
  what: string,
  evidence: readonly string[],
  next: string,
): Cause => ({
  id,
  trouble: 'checks fail',
  what: `${called(about, place)}: ${what}`,
  certainty: 'certain',
  users: place === about.live && stateOf(about, place).ready.length === 0,
  evidence,
  next,
})

function refused(about: Case, place: Place): Cause[] {
  const { refused: why, deployment } = stateOf(about, place)
  if (why === undefined || !deployment) return []
  const next = /quota/.test(why)
    ? kubectl(about.site, 'describe', 'resourcequota')
    : kubectl(about.site, 'describe', 'deployment', deployment.metadata.name)
  return [causeOf(about, place, 'pods-refused', 'its pods cannot be created', [why], next)]
}

/** The deepest reason why one pod is not ready; undefined where it is, or may only need more time. */
function podCause(about: Case, place: Place, pod: SeenPod): Cause | undefined {
  const { status, metadata } = pod
  const { site } = about
  const stuck = status.conditions.find(({ reason }) => reason === 'Unschedulable')
  if (stuck) {
    const evidence = [`${metadata.name}: ${stuck.message}`]
    return causeOf(about, place, 'no-node', 'a pod finds no node', evidence, describePod(site, metadata.name))
  }
  const containers = [...status.initContainerStatuses, ...status.containerStatuses]
  for (const container of containers) {
    const found = containerCause(about, place, pod, container)
    if (found) return found
  }
  return containers.some(({ state, ready }) => state.running && !ready)
    ? probeCause(about, place, pod)
    : undefined
}

const NO_IMAGE = /^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull)$/
const NO_CONFIGURATION = /^(CreateContainerConfigError|CreateContainerError)$/

function containerCause(
  about: Case,
  place: Place,
  whole: SeenPod,
  { name, state, lastState, restartCount, ready }: ContainerStatus,
): Cause | undefined {
  const { site } = about
  const pod = whole.metadata.name
  const { reason = '', message = '' } = state.waiting ?? {}
  const ended = state.terminated ?? lastState.terminated
  const where = `${pod}, container ${name}`
  if (ended?.reason === 'OOMKilled') {
    const what = 'the kernel ended a container that used more than its memory limit'
    const evidence = [`${where}: OOMKilled, ${restartCount} restarts`, `its limit: ${limit(whole, name)}`]
    return causeOf(about, place, 'out-of-memory', what, evidence, describePod(site, pod))
  }
  if (ready) return undefined
  const said = `${where}: ${reason}: ${message}`
  if (NO_IMAGE.test(reason))
    return causeOf(about, place, 'image', 'its image cannot be pulled', [said], describePod(site, pod))
  if (NO_CONFIGURATION.test(reason) && !/cache/.test(message)) {
    const what = 'a ConfigMap, a Secret or a key that it names is not there'
    return causeOf(about, place, 'configuration', what, [said], kubectl(site, 'get', 'configmaps,secrets'))
  }
  if (!ended || (ended.exitCode === 0 && restartCount === 0)) return undefined
  const killed = eventsOf(about, whole).find(isLivenessKill)
  if (killed) return probeOf(about, place, pod, 'liveness', killed)
  const what = `a container exits by itself, last with code ${ended.exitCode}`
  const last = (about.logs[place] ?? []).filter((line) => line.pod === pod).slice(-2)
  const evidence = [`${where}: ${restartCount} restarts`, ...last.map(({ text }) => told(text))]
  return causeOf(about, place, 'crash', what, evidence, logsOf(site, pod, '--previous'))
}

const limit = ({ spec }: SeenPod, container: string): string =>
  spec.containers.find(({ name }) => name === container)?.resources.limits.memory ?? 'none'

const isLivenessKill = ({ reason, message }: Happened): boolean =>
  reason === 'Killing' && /liveness|startup/.test(message)

/** What a kubelet's words on a probe mean, and whether it is the probe that is wrong. */
const PROBES: readonly [RegExp, string][] = [
  [/statuscode: 404/, 'it asks a path that the application does not have'],
  [/connection refused/, 'nothing listens at the port that it asks'],
  [/statuscode: 30\d/, 'it is answered with a redirect'],
  [/statuscode: 40[13]/, 'it is asked to sign in'],
  [/gave HTTP response to HTTPS|malformed HTTP response/, 'it asks by the wrong scheme'],
  [/couldn't find port/, 'it names a port that the container has not'],
]

function probeCause(about: Case, place: Place, pod: SeenPod): Cause | undefined {
  const { name } = pod.metadata
  const failed = lastProbe(about, pod)
  const kind = /liveness|startup/i.exec(failed?.message ?? '')?.[0].toLowerCase() ?? 'readiness'
  if (mayStart(about, pod)) return starts(about, place, pod, failed)
  if (failed && PROBES.some(([pattern]) => pattern.test(failed.message)))
    return probeOf(about, place, name, kind, failed)
  if (failed && /deadline exceeded|timeout/i.test(failed.message)) return slowProbe(about, place, pod, failed)
  const last = (about.logs[place] ?? []).filter((line) => line.pod === name).slice(-2)
  const [what, next] = failed
    ? ['its application says that it is not ready', logsOf(about.site, name)]
    : ['a pod runs and is not ready, and no probe has said why', describePod(about.site, name)]
  const evidence = [
    `${name}: ${failed?.message ?? 'running, not ready'}`,
    ...last.map(({ text }) => told(text)),
  ]
  return causeOf(about, place, 'not-ready', what, evidence, next)
}

function starts(about: Case, place: Place, { metadata: { name } }: SeenPod, probe?: Happened): Cause {
  const what = 'a pod does not listen yet: it may still be starting'
  const cause = causeOf(
    about,
    place,
    'not-ready',
    what,
    [`${name}: ${probe?.message ?? 'no probe has said anything yet'}`],
    describePod(about.site, name),
  )
  return { ...cause, certainty: 'possible' }
}

function probeOf(about: Case, place: Place, pod: string, kind: string, { message }: Happened): Cause {
  const meaning =
    PROBES.find(([pattern]) => pattern.test(message))?.[1] ??
    'it fails, so the kubelet restarts the container'
  return causeOf(
    about,
    place,
    'probe',
    `its ${kind} probe: ${meaning}`,
    [`${pod}: ${message}`],
    describePod(about.site, pod),
  )
}

/** Below this many CPUs a process is starved for most of each tenth of a second. */
const LITTLE_CPU = 0.2

function slowProbe(about: Case, place: Place, pod: SeenPod, { message }: Happened): Cause {
  const { name } = pod.metadata
  const cpu = cpuLimit(pod)
  const evidence = [`${name}: ${message}`, `its CPU limit: ${cpu ?? 'none'}`]
  const [id, what] =
    cpu !== undefined && cpu <= LITTLE_CPU
      ? (['cpu-limit', `it is throttled: its limit is ${cpu} CPUs`] as const)
      : (['not-ready', 'its application does not answer its probe in time'] as const)
  const next = kubectl(about.site, 'top', 'pod', name, '--containers')
  return causeOf(about, place, id, what, evidence, next)
}

/** The smallest limit of its containers, in CPUs. */
export function cpuLimit({ spec }: SeenPod): number | undefined {
  const limits = spec.containers.flatMap(
    ({
      resources: {
        limits: { cpu },
      },
    }) => (cpu === undefined ? [] : [quantity(cpu)]),
  )
  return limits.length > 0 ? Math.min(...limits) : undefined
}
