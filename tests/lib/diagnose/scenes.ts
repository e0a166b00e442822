/** Recorded cluster states: a healthy one, as the sandbox gave it, and what a test spoils of it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place } from '../../../lib/app/color.ts'
import { diagnosed, type Diagnosis } from '../../../lib/diagnose/diagnose.ts'
import type { LastRecord, Scene, SeenPod } from '../../../lib/diagnose/seen.ts'

const recorded = readFileSync(join(import.meta.dir, 'healthy.json'), 'utf8')

/** 2.0.0 is live in green, 1.0.0 warm in blue, two pods each. A copy: tests write into it. */
export const healthy = (): Scene => JSON.parse(recorded)

export const spoiled = (spoil: (scene: Scene) => Partial<Scene> | void): Diagnosis => {
  const scene = healthy()
  return diagnosed({ ...scene, ...spoil(scene) })
}

export const ids = ({ causes }: Diagnosis): string[] => causes.map(({ id }) => id)

export const podsOf = ({ objects }: Scene, color: Place): SeenPod[] =>
  objects.filter((one) => one.kind === 'Pod').filter(({ metadata }) => metadata.labels.color === color)

/** Pods that run and do not answer their readiness probe. */
export function notReady(scene: Scene, color: Place, how: object = {}): void {
  for (const pod of podsOf(scene, color)) {
    pod.status.conditions = []
    for (const container of pod.status.containerStatuses) Object.assign(container, { ready: false, ...how })
  }
}

/** So many lines of each pod of a color, one a second until now. */
export function saying(scene: Scene, color: Place, text: string, lines = 6, pods = 2): void {
  const at = (i: number): string => new Date(scene.now - i * 1000).toISOString()
  scene.logs[color] = podsOf(scene, color)
    .slice(0, pods)
    .flatMap(({ metadata }) =>
      Array.from({ length: lines }, (_, i) => ({ pod: metadata.name, at: at(i), text })),
    )
}

export const record = (about: Partial<LastRecord> = {}): LastRecord => ({
  id: '01k',
  kind: 'deploy',
  outcome: 'failed',
  startedAt: '2026-11-28T18:00:00Z',
  to: { color: 'blue', version: '3.0.0' },
  checks: [],
  ...about,
})
