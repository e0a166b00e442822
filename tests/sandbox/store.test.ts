import { beforeEach, describe, expect, test } from 'bun:test'
import { type KubeObject, Store, type WatchEvent } from '../../sandbox/store.ts'

let store = new Store()
beforeEach(() => {
  store = new Store()
})

function object(name = 'a', fields: Partial<KubeObject> = {}): KubeObject {
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'n' }, ...fields }
}

describe('writing', () => {
  test('gives an object its identity, and a generation that counts changes of the spec', () => {
    const created = store.create('deployments', object('a', { spec: { x: 1 } }))
    expect(created.metadata).toMatchObject({ generation: 1, resourceVersion: '2' })
    expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
    const status = store.update('deployments', { ...created, status: { y: 1 } })
    expect(status.metadata).toMatchObject({ generation: 1, resourceVersion: '3' })
    const spec = store.update('deployments', { ...status, spec: { x: 2 } })
    expect(spec.metadata).toMatchObject({ generation: 2, resourceVersion: '4' })
  })

  test('what is already there changes nothing', () => {
    const created = store.create('deployments', object())
    expect(store.update('deployments', created).metadata.resourceVersion).toBe('2')
    expect(store.version).toBe('2')
  })

  test('refuses a stale version, a second object of a name, and what is not there', () => {
    const created = store.create('deployments', object())
    store.update('deployments', { ...created, spec: { x: 1 } })
    expect(() => store.update('deployments', { ...created, spec: { x: 2 } })).toThrow(
      'the object has been modified',
    )
    expect(() => store.create('deployments', object())).toThrow('deployments.apps "a" already exists')
    expect(() => store.update('deployments', object('b'))).toThrow('deployments.apps "b" not found')
  })

  test('a dry run answers and writes nothing', () => {
    const events: WatchEvent[] = []
    store.subscribe((event) => events.push(event))
    expect(store.create('deployments', object(), { dryRun: true }).metadata.uid).toBeString()
    expect({ stored: store.list('deployments'), version: store.version, events }).toEqual({
      stored: [],
      version: '1',
      events: [],
    })
  })

  test('what is handed out is a copy', () => {
    store.create('deployments', object('a', { spec: { x: 1 } }))
    const copy = store.get('deployments', 'n', 'a')
    Object.assign(copy?.spec as object, { x: 2 })
    expect(store.get('deployments', 'n', 'a')?.spec).toEqual({ x: 1 })
  })

  test('the last finalizer of an object that is being deleted takes it away', () => {
    const held = object('a', {
      metadata: { name: 'a', namespace: 'n', finalizers: ['x'], deletionTimestamp: 'now' },
    })
    store.create('deployments', held)
    store.modify('deployments', 'n', 'a', (draft) => {
      draft.metadata.finalizers = []
    })
    expect(store.list('deployments')).toEqual([])
  })
})

describe('watching', () => {
  test('events carry what they replaced, and can be replayed', () => {
    const events: WatchEvent[] = []
    const end = store.subscribe((event) => events.push(event))
    const created = store.create('deployments', object())
    store.update('deployments', { ...created, spec: { x: 1 } })
    store.remove('deployments', 'n', 'a')
    end()
    store.create('deployments', object('later'))
    expect(events.map(({ type, object: { metadata } }) => `${type} ${metadata.resourceVersion}`)).toEqual([
      'ADDED 2',
      'MODIFIED 3',
      'DELETED 4',
    ])
    expect(events[1]?.previous?.metadata.resourceVersion).toBe('2')
    expect(store.since(2)?.map(({ type }) => type)).toEqual(['MODIFIED', 'DELETED', 'ADDED'])
    expect(store.since(5)).toEqual([])
  })

  test('events that are forgotten cannot be replayed', () => {
    store.create('deployments', object())
    for (let i = 0; i < 5001; i++) {
      store.modify('deployments', 'n', 'a', (draft) => {
        draft.spec = { i }
      })
    }
    expect(store.since(1)).toBeUndefined()
    expect(store.since(Number(store.version) - 1)).toHaveLength(1)
  })
})
