/** What the manifests say of how the release stands while something is taken away from it: image, probes, stopping. */
import { z } from 'zod'
import type { Manifest } from '../cluster/objects.ts'
import { failed, passed, type Finding } from './box.ts'
import type { Planned } from './facts.ts'
import { podOf, serving, type Container } from './pod.ts'

const GUIDE = 'docs/kubernetes-configuration-guide.md says how'

export function judgeImage({ painted }: Pick<Planned, 'painted'>): Finding {
  const { containers, initContainers } = podOf(painted).spec
  const loose = [...initContainers, ...containers].filter(({ image }) => !/@sha256:[0-9a-f]{64}$/.test(image))
  if (loose.length === 0) return passed('every container is named by digest')
  const names = loose.map(({ name, image }) => `${name} (${image})`).join(', ')
  return failed(`${names} may be another image tomorrow`, 'name it by digest: NAME@sha256:…')
}

export function judgeProbes({ painted }: Pick<Planned, 'painted'>): Finding {
  const without = serving(podOf(painted).spec.containers).filter(({ readinessProbe }) => !readinessProbe)
  if (without.length === 0) return passed('each container that users reach says when it is ready')
  return failed(`${named(without)}: no readinessProbe, so it is ready before it answers`, GUIDE)
}

export function judgeShutdown({ painted }: Pick<Planned, 'painted'>): Finding {
  const { containers, terminationGracePeriodSeconds: grace } = podOf(painted).spec
  const reached = serving(containers)
  const without = reached.filter(({ lifecycle }) => !lifecycle.preStop)
  if (without.length > 0)
    return failed(`${named(without)}: no preStop, so it stops while it is still being sent requests`, GUIDE)
  const waits = Math.max(...reached.map(sleepOf))
  if (grace > waits) return passed(`preStop, then up to ${grace} s to end`)
  const next = 'make terminationGracePeriodSeconds longer than preStop and the requests in flight'
  return failed(`it is killed after ${grace} s, and preStop alone takes ${waits} s`, next)
}

const named = (containers: readonly Container[]): string => containers.map(({ name }) => name).join(', ')

/** In s; 0 where the command does not tell. */
function sleepOf({ lifecycle: { preStop } }: Container): number {
  if (preStop?.sleep) return preStop.sleep.seconds
  const command = preStop?.exec?.command.join(' ') ?? ''
  const [, ms] = /\bsleep\((\d+)\)/i.exec(command) ?? []
  const [, s] = /\bsleep\s+(\d+)\b/.exec(command) ?? []
  return ms === undefined ? Number(s ?? 0) : Number(ms) / 1000
}

const budget = z.object({
  minAvailable: z.union([z.number(), z.string()]).optional(),
  maxUnavailable: z.union([z.number(), z.string()]).optional(),
  selector: z.object({ matchLabels: z.record(z.string(), z.string()).default({}) }).prefault({}),
})

/** A node that is drained takes all pods of a color with it where no budget says otherwise. */
export function judgeDisruption({
  painted,
  shared,
  replicas,
}: Pick<Planned, 'painted' | 'shared' | 'replicas'>): Finding {
  const { labels } = podOf(painted).metadata
  const found = [...painted, ...shared]
    .filter(({ kind }) => kind === 'PodDisruptionBudget')
    .map((object: Manifest) => ({ name: object.metadata.name, ...budget.parse(object.spec) }))
    .filter(({ selector }) =>
      Object.entries(selector.matchLabels).every(([key, value]) => labels[key] === value),
    )
  const [first] = found
  const component = 'add the component k8s/components/pod-disruption-budget'
  if (!first)
    return failed('no PodDisruptionBudget: a node that is drained may take every pod at once', component)
  const { name, minAvailable, maxUnavailable } = first
  const none = maxUnavailable === 0 || maxUnavailable === '0%' || minAvailable === '100%'
  const all = typeof minAvailable === 'number' && minAvailable >= replicas
  if (none || all) return failed(`${name} lets no pod go, so no node can be drained`, 'maxUnavailable: 1')
  return passed(`${name} keeps pods while nodes are drained`)
}
