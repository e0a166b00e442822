import { describe, expect, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import { pruneAutoscaler, pruneLeftovers } from '../../../lib/app/prune.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { refused, type Cluster } from '../cluster.ts'
import { APP, autoscaler, deployment, made, objectOf, service } from '../objects.ts'
import { rehearse, running } from '../world.ts'

const PRUNED = [
  ['autoscaling/v2', 'HorizontalPodAutoscaler', '/apis/autoscaling/v2', 'horizontalpodautoscalers'],
  ['policy/v1beta1', 'PodDisruptionBudget', '/apis/policy/v1beta1', 'poddisruptionbudgets'],
  ['batch/v1', 'CronJob', '/apis/batch/v1', 'cronjobs'],
  ['networking.k8s.io/v1', 'Ingress', '/apis/networking.k8s.io/v1', 'ingresses'],
  ['networking.k8s.io/v1', 'NetworkPolicy', '/apis/networking.k8s.io/v1', 'networkpolicies'],
  ['v1', 'Service', '/api/v1', 'services'],
  ['v1', 'ServiceAccount', '/api/v1', 'serviceaccounts'],
  ['v1', 'ConfigMap', '/api/v1', 'configmaps'],
] as const

const next = made('1.1.0')
const painted: Manifest[] = [deployment('green', next), objectOf('1.1.0', 'ConfigMap', 'chat-config-green')]

/** 1.0.0 is live in blue; 1.1.0 was applied to green. */
function applied(cluster: Cluster): void {
  running(cluster, { blue: '1.0.0' }, 'blue')
  for (const object of painted) cluster.put(object)
}

describe('what an earlier release left in the color is deleted, and nothing else', () => {
  test.each(PRUNED)('%s %s', async (apiVersion, kind, root, resource) => {
    await using rehearsal = rehearse()
    const { cluster, world, log } = rehearsal
    applied(cluster)
    cluster.put(objectOf('1.0.0', kind, 'left', 'green', apiVersion))
    await pruneLeftovers(world, 'green', painted)
    const path = `${root}/namespaces/chat-test/${resource}/left`
    expect(cluster.asked.at(-1)).toBe(`delete --raw=${path} -f -`)
    expect(cluster.writes).toEqual([`delete ${resource} left`])
    expect(log.lines).toEqual([`${kind} left came with 1.0.0 and has left the manifests: it is deleted`])
  })

  test.each<[string, (cluster: Cluster) => void]>([
    ['what is in the manifests', () => {}],
    ['the other color', (cluster) => cluster.put(objectOf('1.0.0', 'ConfigMap', 'theirs', 'blue'))],
    ['what has no color', (cluster) => cluster.put(objectOf('1.0.0', 'ConfigMap', 'shared', 'plain'))],
    [
      'what these scripts did not apply',
      (cluster) => {
        const labels = { app: APP, color: 'green' }
        cluster.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'by-hand', labels } })
      },
    ],
    [
      'what a controller made of what they applied',
      (cluster) => {
        const copy = objectOf('1.0.0', 'Ingress', 'copy')
        const owner = { kind: 'Ingress', name: 'chat-green', uid: 'u', controller: true }
        cluster.put({ ...copy, metadata: { ...copy.metadata, ownerReferences: [owner] } })
      },
    ],
    ['a Deployment', (cluster) => cluster.put(objectOf('1.0.0', 'Deployment', 'another'))],
    ['the live Service', (cluster) => cluster.put(objectOf('1.0.0', 'Service', APP))],
    ['the preview Service', (cluster) => cluster.put(objectOf('1.0.0', 'Service', `${APP}-preview`))],
    [
      'what is being deleted already',
      (cluster) => {
        const gone = objectOf('1.0.0', 'ConfigMap', 'gone')
        const deletionTimestamp = '2026-11-23T08:00:00Z'
        cluster.put({ ...gone, metadata: { ...gone.metadata, deletionTimestamp } })
      },
    ],
    [
      'S3: anything, where another run has applied its own release to the color',
      (cluster) => {
        cluster.put(objectOf('1.2.0', 'ConfigMap', 'theirs'))
        cluster.put(deployment('green', made('1.2.0')))
      },
    ],
    [
      'S3: what a later release has applied, while its Deployment is still to come',
      (cluster) => cluster.put(objectOf('1.2.0', 'ConfigMap', 'theirs')),
    ],
    ['anything, where there is no Deployment', (cluster) => cluster.objects.delete('Deployment/chat-green')],
  ])('not %s', async (_, change) => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    applied(cluster)
    change(cluster)
    await pruneLeftovers(world, 'green', painted)
    expect(cluster.writes).toEqual([])
  })

  test('S3: nor what somebody has written since it was read', async () => {
    await using rehearsal = rehearse()
    const { cluster, world, log } = rehearsal
    applied(cluster)
    cluster.put(objectOf('1.0.0', 'ConfigMap', 'left'))
    cluster.intercept = (line) => {
      if (line.startsWith('delete')) cluster.put(objectOf('1.2.0', 'ConfigMap', 'left'))
      return undefined
    }
    await pruneLeftovers(world, 'green', painted)
    expect(cluster.object('ConfigMap', 'left').metadata.annotations?.[key.version]).toBe('1.2.0')
    expect(log.warnings).toEqual([])
  })

  test('what has changed by itself since, as an autoscaler does, is looked at again', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    applied(cluster)
    cluster.put(objectOf('1.0.0', 'ConfigMap', 'left'))
    let changes = 2
    cluster.intercept = (line) => {
      if (line.startsWith('delete') && changes-- > 0) cluster.put(cluster.object('ConfigMap', 'left'))
      return undefined
    }
    await pruneLeftovers(world, 'green', painted)
    expect(cluster.writes).toEqual(['delete configmaps left'])
  })

  test('without colors it is what has none', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    const plain = [deployment('plain', next)]
    for (const object of [...plain, service(APP), objectOf('1.0.0', 'ConfigMap', 'colored', 'blue')])
      cluster.put(object)
    cluster.put(objectOf('1.0.0', 'ConfigMap', 'left', 'plain'))
    await pruneLeftovers(world, 'plain', plain)
    expect(cluster.writes).toEqual(['delete configmaps left'])
  })
})

describe('an autoscaler that was left behind', () => {
  const left = { ...autoscaler('green', 1, 2), ...objectOf('1.0.0', 'HorizontalPodAutoscaler', 'chat-green') }

  test('goes before anything else does', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    applied(cluster)
    cluster.put(left)
    cluster.put(objectOf('1.0.0', 'ConfigMap', 'left'))
    expect(await pruneAutoscaler(world, 'green', painted)).toBe(true)
    expect(cluster.writes).toEqual(['delete horizontalpodautoscalers chat-green'])
    expect(await pruneAutoscaler(world, 'green', painted)).toBe(false)
  })
})

const FORBIDDEN = refused('Error from server (Forbidden): cronjobs.batch is forbidden')

describe('what is not allowed is told, and fails nothing', () => {
  test.each(['get', 'delete'])('%s', async (verb) => {
    await using rehearsal = rehearse()
    const { cluster, world, log } = rehearsal
    applied(cluster)
    cluster.put(objectOf('1.0.0', 'CronJob', 'left', 'green', 'batch/v1'))
    cluster.intercept = (line) => (line.startsWith(verb) ? FORBIDDEN : undefined)
    await pruneLeftovers(world, 'green', painted)
    expect(log.warnings).toEqual([
      expect.stringMatching(
        /^Nothing more was pruned from green: .*cronjobs\.batch is forbidden\. k8s\/rbac\/ holds the Role for it$/,
      ),
    ])
  })
})
