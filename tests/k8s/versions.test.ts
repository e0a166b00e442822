/** Kubernetes 1.20 to 1.36 must serve what is applied by default; a component says from where on it works. */
import { expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { environments, render, renderBelow, type Manifest } from './render.ts'

const oldest = 20
const newest = 36

/** Minor versions of Kubernetes 1: served from, and no longer served from (the deprecated API migration guide). */
const served: Record<string, { from: number; until?: number }> = {
  'v1 ConfigMap': { from: 0 },
  'v1 Namespace': { from: 0 },
  'v1 Service': { from: 0 },
  'v1 ServiceAccount': { from: 0 },
  'apps/v1 Deployment': { from: 9 },
  'extensions/v1beta1 Deployment': { from: 1, until: 16 },
  'batch/v1 Job': { from: 2 },
  'autoscaling/v1 HorizontalPodAutoscaler': { from: 2 },
  'autoscaling/v2 HorizontalPodAutoscaler': { from: 23 },
  'autoscaling/v2beta1 HorizontalPodAutoscaler': { from: 8, until: 25 },
  'autoscaling/v2beta2 HorizontalPodAutoscaler': { from: 12, until: 26 },
  'networking.k8s.io/v1 NetworkPolicy': { from: 7 },
  'networking.k8s.io/v1 Ingress': { from: 19 },
  'networking.k8s.io/v1beta1 Ingress': { from: 14, until: 22 },
  'extensions/v1beta1 Ingress': { from: 1, until: 22 },
  'policy/v1 PodDisruptionBudget': { from: 21 },
  'policy/v1beta1 PodDisruptionBudget': { from: 5, until: 25 },
  'rbac.authorization.k8s.io/v1 Role': { from: 8 },
  'rbac.authorization.k8s.io/v1 RoleBinding': { from: 8 },
  'rbac.authorization.k8s.io/v1beta1 Role': { from: 6, until: 22 },
  'rbac.authorization.k8s.io/v1beta1 RoleBinding': { from: 6, until: 22 },
}

/** Where each component belongs, and the first version that serves all of it. */
const components: Record<string, { below: string[]; from: number }> = {
  'hpa-v2': { below: ['painted'], from: 23 },
  ingress: { below: ['shared'], from: oldest },
  'node-port': { below: ['shared'], from: oldest },
  'pod-disruption-budget': { below: ['painted'], from: 21 },
  'shared-database': { below: ['painted', 'migration'], from: oldest },
  'topology-spread': { below: ['painted'], from: oldest },
}

test.each(['rbac', ...environments.flatMap((name) => [`overlays/${name}`, `overlays/${name}/setup`])])(
  `%s is served from 1.${oldest} to 1.${newest}`,
  async (folder) => {
    expect(servedFrom(await render(folder))).toBeLessThanOrEqual(oldest)
  },
)

test('every component is in the table', () => {
  const folders = readdirSync(join(import.meta.dir, '../../k8s/components')).toSorted()
  expect(Object.keys(components)).toEqual(folders)
})

test.each(Object.entries(components))(
  '%s needs no newer version than it says',
  async (name, { below, from }) => {
    for (const part of below) {
      const manifests = await renderBelow(`production/${part}`, {}, [name])
      expect(servedFrom(manifests)).toBeLessThanOrEqual(from)
    }
  },
)

test.each([
  ['policy/v1beta1', 'PodDisruptionBudget', /not served by 1.36/],
  ['autoscaling/v2beta2', 'HorizontalPodAutoscaler', /not served by 1.36/],
  ['autoscaling/v3', 'HorizontalPodAutoscaler', /not in the table/],
])('this test refuses %s %s', (apiVersion, kind, complaint) => {
  expect(() => servedFrom([{ apiVersion, kind, metadata: { name: 'x' } }])).toThrow(complaint)
})

/** The first minor version that serves all of them. Throws for one that the newest no longer serves, or that is unknown. */
function servedFrom(manifests: readonly Manifest[]): number {
  const starts = manifests.map(({ apiVersion, kind }) => {
    const known = served[`${apiVersion} ${kind}`]
    if (!known) throw new Error(`${apiVersion} ${kind} is not in the table`)
    if (known.until !== undefined && known.until <= newest) {
      throw new Error(`${apiVersion} ${kind} is not served by 1.${newest}`)
    }
    return known.from
  })
  if (starts.length === 0) throw new Error('nothing was rendered')
  return Math.max(...starts)
}
