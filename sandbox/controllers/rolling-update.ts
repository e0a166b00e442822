/**
 * The arithmetic of a Deployment's strategy, as in Kubernetes' deployment controller: how large each ReplicaSet
 * should be next. Pure: each function answers with the sets to change and their new sizes.
 */
import type { Deployment, IntOrPercent, ReplicaSet } from '../kinds.ts'
import { byRevision, desiredOf, maxOf } from './revisions.ts'

export interface Resize {
  set: ReplicaSet
  replicas: number
}

export function wantedReplicas({ spec }: Deployment): number {
  return spec.replicas ?? 1
}

/** maxSurge is rounded up and maxUnavailable down; if both come to 0, one pod may be unavailable. */
export function limitsOf(deployment: Deployment): { surge: number; unavailable: number } {
  const { strategy } = deployment.spec
  const replicas = wantedReplicas(deployment)
  if (strategy?.type === 'Recreate') return { surge: 0, unavailable: 0 }
  const { maxSurge = '25%', maxUnavailable = '25%' } = strategy?.rollingUpdate ?? {}
  const surge = resolve(maxSurge, replicas, Math.ceil)
  const unavailable = resolve(maxUnavailable, replicas, Math.floor)
  return {
    surge,
    unavailable: surge === 0 && unavailable === 0 ? 1 : Math.min(unavailable, replicas),
  }
}

/** The size of the new set now: what is wanted, as far as the surge leaves room. */
export function newSetSize(deployment: Deployment, set: ReplicaSet | undefined, all: ReplicaSet[]): number {
  const wanted = wantedReplicas(deployment)
  const present = set ? sizeOf(set) : 0
  if (deployment.spec.strategy?.type === 'Recreate' || present > wanted) return wanted
  const room = wanted + limitsOf(deployment).surge - sum(all, sizeOf)
  return room <= 0 ? present : present + Math.min(room, wanted - present)
}

/** Which old pods can go: the unhealthy first, then as many as availability allows. */
export function shrinkOld(
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  old: ReplicaSet[],
): Resize[] {
  const all = newSet ? [newSet, ...old] : old
  const minAvailable = wantedReplicas(deployment) - limitsOf(deployment).unavailable
  const newUnavailable = newSet ? sizeOf(newSet) - availableIn(newSet) : 0
  const mayGo = sum(all, sizeOf) - minAvailable - newUnavailable
  if (mayGo <= 0) return []
  const sizes = new Map(old.toSorted(byRevision).map((set) => [set, sizeOf(set)]))
  take(sizes, mayGo, (set, size) => size - availableIn(set))
  take(sizes, sum(all, availableIn) - minAvailable, (_set, size) => size)
  return [...sizes]
    .filter(([set, size]) => size !== sizeOf(set))
    .map(([set, replicas]) => ({ set, replicas }))
}

/** After `kubectl scale` in the middle of a rollout, each set grows or shrinks in proportion to its size. */
export function proportional(deployment: Deployment, all: ReplicaSet[]): Resize[] {
  const active = all.filter((set) => sizeOf(set) > 0)
  const wanted = wantedReplicas(deployment)
  const allowed = wanted > 0 ? wanted + limitsOf(deployment).surge : 0
  const toAdd = allowed - sum(active, sizeOf)
  const largestFirst = active.toSorted((a, b) => sizeOf(b) - sizeOf(a) || byRevision(a, b))
  let left = toAdd
  const resized = largestFirst.map((set) => {
    const before = maxOf(set) ?? (desiredOf(set) ?? wanted) + limitsOf(deployment).surge
    const share = Math.round((sizeOf(set) * allowed) / before) - sizeOf(set)
    const change = toAdd > 0 ? Math.max(0, Math.min(share, left)) : Math.min(0, Math.max(share, left))
    left -= change
    return { set, replicas: sizeOf(set) + change }
  })
  const [largest] = resized
  if (largest) largest.replicas = Math.max(0, largest.replicas + left)
  return resized
}

export function sizeOf(set: ReplicaSet): number {
  return set.spec.replicas ?? 1
}

export function availableIn(set: ReplicaSet): number {
  return set.status?.availableReplicas ?? 0
}

export function sum(sets: ReplicaSet[], of: (set: ReplicaSet) => number): number {
  return sets.reduce((total, set) => total + of(set), 0)
}

/** Takes up to `most` pods off the sets, in order, from each no more than `spare` says. */
function take(
  sizes: Map<ReplicaSet, number>,
  most: number,
  spare: (set: ReplicaSet, size: number) => number,
): void {
  let left = most
  for (const [set, size] of sizes) {
    const taken = Math.max(0, Math.min(left, size, spare(set, size)))
    sizes.set(set, size - taken)
    left -= taken
  }
}

function resolve(value: IntOrPercent, of: number, round: (share: number) => number): number {
  if (typeof value === 'number') return value
  if (!/^\d+%$/.test(value)) throw new Error(`"${value}" is neither a number nor a percentage`)
  return round((Number.parseInt(value, 10) * of) / 100)
}
