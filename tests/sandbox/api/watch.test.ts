import { afterAll, describe, expect, test } from 'bun:test'
import { NAMESPACED, startCluster } from './cluster.ts'

const cluster = startCluster()
afterAll(() => cluster.stop())

const { store, url, kubectl } = cluster
const MAPS = `${url}${NAMESPACED}/configmaps`

interface Line {
  type: string
  object: {
    kind: string
    code?: number
    metadata: { name: string }
    rows?: { cells: unknown[] }[]
    columnDefinitions?: unknown[]
  }
}

/** Reads a watch line by line; `next` waits for one. */
async function open(query: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${MAPS}?watch=1&${query}`, { headers })
  if (!response.body) throw new Error('a watch has a body')
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  const next = async (): Promise<Line | undefined> => {
    while (!rest.includes('\n')) {
      const { done, value } = await reader.read()
      if (done) return undefined
      rest += value
    }
    const line = rest.slice(0, rest.indexOf('\n'))
    rest = rest.slice(line.length + 1)
    return line === '' ? next() : (JSON.parse(line) as Line)
  }
  return { next, close: () => reader.cancel() }
}

function put(name: string, labels: Record<string, string> = {}): void {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'test', labels } }
  if (store.get('configmaps', 'test', name)) store.update('configmaps', object)
  else store.create('configmaps', object)
}

function shown(line: Line | undefined): string {
  return line ? `${line.type} ${line.object.metadata.name}` : 'end'
}

describe('a watch', () => {
  test('tells what is there, then every change', async () => {
    put('one')
    const watch = await open('fieldSelector=metadata.name%3Done')
    expect(shown(await watch.next())).toBe('ADDED one')
    put('one', { a: '1' })
    put('two')
    store.remove('configmaps', 'test', 'one')
    expect(shown(await watch.next())).toBe('MODIFIED one')
    expect(shown(await watch.next())).toBe('DELETED one')
    await watch.close()
  })

  test('from a resourceVersion tells what came after it', async () => {
    put('late')
    const { version } = store
    put('late', { a: '1' })
    const watch = await open(`resourceVersion=${version}`)
    expect(shown(await watch.next())).toBe('MODIFIED late')
    await watch.close()
  })

  test('with a selector sees objects enter and leave the selection, live and replayed', async () => {
    const { version } = store
    const live = await open(`resourceVersion=${version}&labelSelector=in%3Dyes`)
    put('mover')
    put('mover', { in: 'yes' })
    put('mover', { in: 'yes', and: 'more' })
    put('mover')
    const replayed = await open(`resourceVersion=${version}&labelSelector=in%3Dyes`)
    for (const watch of [live, replayed]) {
      const seen = [await watch.next(), await watch.next(), await watch.next()].map(shown)
      expect(seen).toEqual(['ADDED mover', 'MODIFIED mover', 'DELETED mover'])
      await watch.close()
    }
  })

  test('ends after timeoutSeconds', async () => {
    const watch = await open(`resourceVersion=${store.version}&timeoutSeconds=1`)
    expect(await watch.next()).toBeUndefined()
  })

  test('from a version that is too old says 410 Gone, and ends', async () => {
    for (let i = 0; i < 5010; i++) put('busy', { i: String(i) })
    const watch = await open('resourceVersion=1')
    expect((await watch.next())?.object).toMatchObject({ kind: 'Status', code: 410, reason: 'Expired' })
    expect(await watch.next()).toBeUndefined()
  })

  test('as a table describes the columns once', async () => {
    put('row')
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const watch = await open('fieldSelector=metadata.name%3Drow', { accept })
    expect((await watch.next())?.object).toMatchObject({
      kind: 'Table',
      columnDefinitions: [{ name: 'Name' }, { name: 'Data' }, { name: 'Age' }],
      rows: [{ cells: ['row', 0, expect.any(String)] }],
    })
    put('row', { a: '1' })
    expect((await watch.next())?.object).toMatchObject({ columnDefinitions: [] })
    await watch.close()
  })
})

test('a watch whose client has gone costs nothing any more', async () => {
  const watch = await open(`resourceVersion=${store.version}`)
  await watch.close()
  put('after', { a: '1' })
  put('after', { a: '2' })
  const fresh = await open('fieldSelector=metadata.name%3Dafter')
  expect(shown(await fresh.next())).toBe('ADDED after')
  await fresh.close()
})

test('kubectl waits for a deletion and for a condition', async () => {
  put('doomed')
  const gone = kubectl(['wait', '--for=delete', 'configmap/doomed', '--timeout=20s'])
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', namespace: 'test' },
    spec: {},
  }
  store.create('deployments', deployment)
  const available = kubectl(['wait', '--for=condition=available', 'deployment/d', '--timeout=20s'])
  store.modify('deployments', 'test', 'd', (draft) => {
    draft.status = { conditions: [{ type: 'Available', status: 'True' }] }
  })
  store.remove('configmaps', 'test', 'doomed')
  expect((await available).stdout).toBe('deployment.apps/d condition met')
  expect((await gone).code).toBe(0)
})
