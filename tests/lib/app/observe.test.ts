import { describe, expect, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import { arrange, side, type Observed } from '../../../lib/app/observe.ts'
import { watched } from '../../../lib/cluster/objects.ts'
import { Cluster } from '../cluster.ts'
import { APP, autoscaler, live, made, ready, service } from '../objects.ts'
import { rehearse, running } from '../world.ts'

const seen = (cluster: Cluster): Observed =>
  arrange(
    APP,
    [...cluster.objects.values()].map((object) => watched.parse(object)),
  )

function blueAndGreen(): Cluster {
  const cluster = new Cluster()
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  return cluster
}

const annotated = (text: string) => ({
  ...service(APP),
  metadata: { ...service(APP).metadata, annotations: { [key.switch]: text } },
})

/** Pods of a release are refused by the API server, or were. */
const refuse = (cluster: Cluster, release: string, status: string): void => {
  const { metadata } = cluster.object('Deployment', 'chat-blue')
  const owner = { kind: 'Deployment', name: metadata.name, uid: metadata.uid ?? '', controller: true }
  cluster.put({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'chat-blue-other', labels: live('blue'), ownerReferences: [owner] },
    spec: { template: { metadata: { annotations: { [key.release]: release } } } },
    status: { conditions: [{ type: 'ReplicaFailure', status, message: 'exceeded quota: small' }] },
  })
}

describe('arrange', () => {
  test('sorts a heap of objects into what they mean', () => {
    const cluster = blueAndGreen()
    cluster.put({ ...service('other'), metadata: { name: 'other' } })
    cluster.put({
      apiVersion: 'v1',
      kind: 'Lease',
      metadata: { name: 'chat-deploy' },
      spec: { holderIdentity: 'a b' },
    })
    cluster.put({ apiVersion: 'v1', kind: 'Lease', metadata: { name: 'another' }, spec: {} })
    const { colors, service: found, preview, lease } = seen(cluster)
    expect(found?.metadata.name).toBe(APP)
    expect(preview?.metadata.name).toBe(`${APP}-preview`)
    expect(lease?.spec.holderIdentity).toBe('a b')
    expect(colors.blue.ready.map(({ metadata }) => metadata.name)).toEqual(['chat-blue.1.0', 'chat-blue.1.1'])
    expect(colors.blue.release).toEqual(made('1.0.0'))
    expect(colors.green.autoscaler?.metadata.name).toBe('chat-green')
    expect(colors.plain).toMatchObject({ color: 'plain', pods: [], own: [], ready: [] })
  })

  test.each<[string, (cluster: Cluster) => void, { pods: number; own: number; ready: number }]>([
    ['all is well', () => {}, { pods: 2, own: 2, ready: 2 }],
    [
      'a pod that is being deleted is not behind the Service',
      (cluster) =>
        (cluster.object('Pod', 'chat-blue.1.0').metadata.deletionTimestamp = '2026-11-23T08:00:00Z'),
      { pods: 1, own: 1, ready: 1 },
    ],
    [
      'nor is one that has ended',
      (cluster) => (cluster.object('Pod', 'chat-blue.1.0').status = { ...ready(), phase: 'Failed' }),
      { pods: 1, own: 1, ready: 1 },
    ],
    [
      'a pod without a status is not ready',
      (cluster) => delete cluster.object('Pod', 'chat-blue.1.0').status,
      { pods: 2, own: 2, ready: 1 },
    ],
    [
      'Ready: Unknown is not ready',
      (cluster) =>
        (cluster.object('Pod', 'chat-blue.1.0').status = {
          conditions: [{ type: 'Ready', status: 'Unknown' }],
        }),
      { pods: 2, own: 2, ready: 1 },
    ],
    [
      'a pod that nobody owns is a stray, however ready',
      (cluster) => delete cluster.object('Pod', 'chat-blue.1.0').metadata.ownerReferences,
      { pods: 2, own: 1, ready: 1 },
    ],
    [
      'a pod of another Deployment is a stray',
      (cluster) => {
        const theirs = cluster.object('Pod', 'chat-green.1.0').metadata
        theirs.labels = live('blue')
      },
      { pods: 3, own: 2, ready: 2 },
    ],
    [
      'without its Deployment every pod is a stray',
      (cluster) => cluster.objects.delete('Deployment/chat-blue'),
      { pods: 2, own: 0, ready: 0 },
    ],
  ])('%s', (_, spoil, expected) => {
    const cluster = blueAndGreen()
    spoil(cluster)
    const { pods, own, ready: fit } = seen(cluster).colors.blue
    expect({ pods: pods.length, own: own.length, ready: fit.length }).toEqual(expected)
  })

  describe('why pods of the present release are refused', () => {
    test.each([
      ['as its ReplicaSet tells it', 'r1.0.0', 'True', 'exceeded quota: small'],
      ['and not as that of an earlier release does', 'r0.9.0', 'True', undefined],
      ['nor as it was once', 'r1.0.0', 'False', undefined],
    ])('%s', (_, release, status, expected) => {
      const cluster = blueAndGreen()
      refuse(cluster, release, status)
      expect(seen(cluster).colors.blue.refused).toBe(expected)
      expect(seen(cluster).colors.green.refused).toBeUndefined()
    })

    test('by any, where the Deployment is not of these scripts', () => {
      const cluster = blueAndGreen()
      refuse(cluster, 'r0.9.0', 'True')
      cluster.object('Deployment', 'chat-blue').metadata.annotations = {}
      expect(seen(cluster).colors.blue.refused).toBe('exceeded quota: small')
    })
  })

  test.each(['{}', 'not json', '{"id":1}'])(
    'an entry for the history that cannot be read is not ignored: %s',
    (text) => {
      const cluster = blueAndGreen()
      cluster.put(annotated(text))
      expect(() => seen(cluster)).toThrow(/annotation deploy-scripts\/switch of Service chat cannot be read/)
    },
  )
})

describe('observe', () => {
  test('asks once; a Service without the label is found by its name', async () => {
    await using rehearsal = rehearse()
    const { cluster, observed } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    await observed()
    expect(cluster.asked).toHaveLength(1)
    for (const { metadata } of cluster.all('Service')) delete metadata.labels
    expect((await observed()).service?.spec.selector).toEqual(live('blue'))
  })

  test('an answer in an unknown form is an error, not an empty cluster', async () => {
    await using rehearsal = rehearse()
    rehearsal.cluster.put({ ...autoscaler('blue'), spec: { scaleTargetRef: {} } })
    expect(rehearsal.observed()).rejects.toThrow(/kubectl get .* answered in an unknown form/)
  })
})

test('a color whose release is not known is one side of a switch all the same', () => {
  expect(side({ color: 'blue', pods: [], own: [], ready: [] })).toEqual({
    color: 'blue',
    release: 'unknown',
    version: 'unknown',
    image: 'unknown',
  })
})
