import { afterAll, describe, expect, test } from 'bun:test'
import type { KubeObject } from '../../../sandbox/store.ts'
import { NAMESPACED, startCluster } from './cluster.ts'

const terminated: string[] = []
const cluster = startCluster({
  pods: { terminate: (namespace, name, grace) => terminated.push(`${namespace}/${name} ${grace}`) },
})
afterAll(() => cluster.stop())

const { call, kubectl, store } = cluster

function make(
  kind: string,
  resource: string,
  name: string,
  fields: object = {},
  metadata: object = {},
): KubeObject {
  const group = { Deployment: 'apps/v1', ReplicaSet: 'apps/v1' }[kind] ?? 'v1'
  return store.create(resource, {
    apiVersion: group,
    kind,
    metadata: { name, namespace: 'test', ...metadata },
    ...fields,
  })
}

function pod(
  name: string,
  spec: object = { nodeName: 'sandbox' },
  phase = 'Running',
  metadata: object = {},
): KubeObject {
  return make(
    'Pod',
    'pods',
    name,
    { spec: { terminationGracePeriodSeconds: 30, ...spec }, status: { phase } },
    metadata,
  )
}

/** As a controller does it; others may leave out that they hold their owner back. */
function ownedBy({ kind, metadata: { name, uid } }: KubeObject, blockOwnerDeletion = true) {
  const reference = { apiVersion: 'apps/v1', kind, name, uid: uid ?? '', controller: true }
  return { ownerReferences: [{ ...reference, ...(blockOwnerDeletion && { blockOwnerDeletion }) }] }
}

const POD = `${NAMESPACED}/pods`

describe('a pod', () => {
  test('is marked, and left to the node for its grace period', async () => {
    pod('graceful')
    const before = Date.now()
    const reply = await call('DELETE', `${POD}/graceful`)
    expect(reply.body).toMatchObject({ kind: 'Pod', metadata: { deletionGracePeriodSeconds: 30 } })
    const { deletionTimestamp = '' } = store.get('pods', 'test', 'graceful')?.metadata ?? {}
    expect(Date.parse(deletionTimestamp) - before).toBeGreaterThan(28_000)
    expect(terminated).toEqual(['test/graceful 30'])
  })

  test('a second deletion may only shorten the period', async () => {
    terminated.length = 0
    await call('DELETE', `${POD}/graceful?gracePeriodSeconds=60`)
    await call('DELETE', `${POD}/graceful`, { gracePeriodSeconds: 5 })
    expect(terminated).toEqual(['test/graceful 5'])
    await kubectl(['delete', 'pod', 'graceful', '--grace-period=0', '--force'])
    expect(store.get('pods', 'test', 'graceful')).toBeUndefined()
    expect(terminated).toEqual(['test/graceful 5', 'test/graceful 0'])
  })

  test.each([
    ['that no node has taken', {}, 'Pending'],
    ['that has finished', { nodeName: 'sandbox' }, 'Succeeded'],
  ])('%s goes at once', async (_what, spec, phase) => {
    pod('idle', spec, phase)
    expect((await call('DELETE', `${POD}/idle`)).body).toMatchObject({ kind: 'Status', status: 'Success' })
    expect(store.get('pods', 'test', 'idle')).toBeUndefined()
  })
})

test('a dry run deletes nothing', async () => {
  make('ConfigMap', 'configmaps', 'kept')
  expect((await kubectl(['delete', 'configmap', 'kept', '--dry-run=server'])).stdout).toBe(
    'configmap "kept" deleted (server dry run)',
  )
  expect(store.get('configmaps', 'test', 'kept')).toBeDefined()
})

test('preconditions must hold', async () => {
  const { metadata } = make('ConfigMap', 'configmaps', 'conditional')
  const refused = await call('DELETE', `${NAMESPACED}/configmaps/conditional`, {
    preconditions: { uid: 'x' },
  })
  expect(refused.status).toBe(409)
  expect(refused.message).toContain(`UID in precondition: x, UID in object meta: ${metadata.uid}`)
  const { uid, resourceVersion } = metadata
  const preconditions = { uid, resourceVersion }
  expect((await call('DELETE', `${NAMESPACED}/configmaps/conditional`, { preconditions })).status).toBe(200)
})

test('finalizers hold an object until they are taken away', async () => {
  make('ConfigMap', 'configmaps', 'held', {}, { finalizers: ['a/b'] })
  expect((await call('DELETE', `${NAMESPACED}/configmaps/held`)).body).toMatchObject({ kind: 'ConfigMap' })
  expect(store.get('configmaps', 'test', 'held')?.metadata.deletionTimestamp).toBeString()
  await kubectl(['patch', 'configmap', 'held', '--type=merge', '-p', '{"metadata":{"finalizers":null}}'])
  expect(store.get('configmaps', 'test', 'held')).toBeUndefined()
})

test('a collection is deleted by its selector', async () => {
  make('ConfigMap', 'configmaps', 'in', {}, { labels: { doomed: 'yes' } })
  make('ConfigMap', 'configmaps', 'out')
  const reply = await call('DELETE', `${NAMESPACED}/configmaps?labelSelector=doomed%3Dyes`)
  expect(reply.body).toMatchObject({ kind: 'ConfigMapList', items: [{ metadata: { name: 'in' } }] })
  expect(store.list('configmaps', 'test').map(({ metadata }) => metadata.name)).not.toContain('in')
  expect(store.get('configmaps', 'test', 'out')).toBeDefined()
})

describe('what an object owns', () => {
  test('is left alone with --cascade=orphan, without an owner', async () => {
    const owner = make('Deployment', 'deployments', 'orphaning')
    make('ReplicaSet', 'replicasets', 'orphan', {}, ownedBy(owner))
    await kubectl(['delete', 'deployment', 'orphaning', '--cascade=orphan'])
    expect(store.get('replicasets', 'test', 'orphan')?.metadata.ownerReferences).toBeUndefined()
  })

  test('goes first with --cascade=foreground', async () => {
    const owner = make('Deployment', 'deployments', 'waiting')
    const set = make('ReplicaSet', 'replicasets', 'waiting-1', {}, ownedBy(owner))
    pod('waiting-1-a', { nodeName: 'sandbox' }, 'Running', ownedBy(set))
    await call('DELETE', '/apis/apps/v1/namespaces/test/deployments/waiting', {
      propagationPolicy: 'Foreground',
    })
    expect(store.get('deployments', 'test', 'waiting')?.metadata.finalizers).toEqual(['foregroundDeletion'])
    expect(store.get('replicasets', 'test', 'waiting-1')?.metadata.deletionTimestamp).toBeString()
    store.remove('pods', 'test', 'waiting-1-a')
    expect(store.get('replicasets', 'test', 'waiting-1')).toBeUndefined()
    expect(store.get('deployments', 'test', 'waiting')).toBeUndefined()
  })

  test('goes too, but holds its owner back only where it says so', async () => {
    const owner = make('Deployment', 'deployments', 'unhindered')
    pod('slow', { nodeName: 'sandbox' }, 'Running', ownedBy(owner, false))
    await kubectl(['delete', 'deployment', 'unhindered', '--cascade=foreground', '--wait=false'])
    expect(store.get('deployments', 'test', 'unhindered')).toBeUndefined()
    expect(store.get('pods', 'test', 'slow')?.metadata.deletionTimestamp).toBeString()
  })
})

test('a namespace is terminating until it has been emptied, and takes nothing new', async () => {
  await kubectl(['create', 'namespace', 'ending'])
  const reply = await call('DELETE', '/api/v1/namespaces/ending')
  expect(reply.body).toMatchObject({ kind: 'Namespace', status: { phase: 'Terminating' } })
  const refused = await kubectl(['create', 'configmap', 'x', '-n', 'ending'])
  expect(refused.stderr).toBe(
    'error: failed to create configmap: configmaps "x" is forbidden: unable to create new content in namespace ending because it is being terminated',
  )
})
