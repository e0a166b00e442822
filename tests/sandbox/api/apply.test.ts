import { afterAll, describe, expect, test } from 'bun:test'
import { APPLY, APPS, NAMESPACED, deployment, service, startCluster } from './cluster.ts'

const cluster = startCluster()
afterAll(() => cluster.stop())

const { kubectl, call } = cluster

describe('kubectl apply', () => {
  for (const [flags, verb] of [
    [[], 'created'],
    [['--server-side'], 'serverside-applied'],
  ] as const) {
    const how = flags[0] ?? 'client-side'
    const objects = [service({}, `svc${flags.length}`), deployment('web:1', `dep${flags.length}`)]

    test(`${how}: a second apply changes nothing, a diff is empty`, async () => {
      const first = await kubectl(['apply', ...flags, '-f', '-'], objects)
      expect(first.stderr).toBe('')
      expect(first.stdout.split('\n').map((line) => line.split(' ')[1])).toEqual([verb, verb])
      const version = cluster.store.version
      const second = await kubectl(['apply', ...flags, '-f', '-'], objects)
      expect(second.code).toBe(0)
      expect(cluster.store.version).toBe(version)
      const diff = await kubectl(['diff', ...flags, '-f', '-'], objects)
      expect(diff).toEqual({ code: 0, stdout: '', stderr: '' })
    })

    test(`${how}: a diff shows the one line that differs, and neither it nor a server-side dry run writes`, async () => {
      const version = cluster.store.version
      const changed = deployment('web:2', `dep${flags.length}`)
      const diff = await kubectl(['diff', ...flags, '-f', '-'], changed)
      expect(diff.code).toBe(1)
      const lines = diff.stdout.split('\n').filter((line) => /^[+-] /.test(line))
      expect(lines.map((line) => line.trim().replace(/\s+/g, ' '))).toEqual([
        '- generation: 1',
        '+ generation: 2',
        '- image: web:1',
        '+ image: web:2',
      ])
      const dry = await kubectl(['apply', ...flags, '--dry-run=server', '-f', '-'], changed)
      expect(dry.code).toBe(0)
      expect(cluster.store.version).toBe(version)
    })
  }
})

const DATA = `${NAMESPACED}/configmaps`

/** One apply of a ConfigMap's data by a manager. */
async function applyData(name: string, manager: string, data: object, force = false) {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data }
  return await call(
    'PATCH',
    `${DATA}/${name}?fieldManager=${manager}${force ? '&force=true' : ''}`,
    object,
    APPLY,
  )
}

const only = (containers: object[]) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'items' },
  spec: { template: { spec: { containers } } },
})
const names = (body: object) => JSON.stringify(body).match(/"name":"(app|sidecar)"/g)?.length

function migrated(value: string, other = 'x') {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'migrated' }, data: { value, other } }
}

describe('field ownership', () => {
  test('creates, then takes away what its manager stops naming and nobody else owns', async () => {
    expect((await applyData('shrink', 'a', { x: '1', y: '1' })).status).toBe(201)
    expect((await applyData('shrink', 'b', { y: '1', z: '1' })).body.data).toEqual({ x: '1', y: '1', z: '1' })
    expect((await applyData('shrink', 'a', {})).body.data).toEqual({ y: '1', z: '1' })
  })

  test('another value of an owned field is a conflict that names its owner; the same value is shared', async () => {
    await applyData('shared', 'a', { x: '1' })
    expect((await applyData('shared', 'b', { x: '1' })).status).toBe(200)
    const refused = await applyData('shared', 'c', { x: '2' })
    expect(refused.status).toBe(409)
    expect(refused.message).toBe(
      'Apply failed with 2 conflicts: conflicts with "a":\n- .data.x\nconflicts with "b":\n- .data.x',
    )
    expect(refused.body.details).toEqual({
      causes: [
        { reason: 'FieldManagerConflict', message: 'conflict with "a"', field: '.data.x' },
        { reason: 'FieldManagerConflict', message: 'conflict with "b"', field: '.data.x' },
      ],
    })
    expect(cluster.store.get('configmaps', 'test', 'shared')).toMatchObject({ data: { x: '1' } })
  })

  test('force takes the field over', async () => {
    await applyData('forced', 'a', { x: '1', y: '1' })
    expect((await applyData('forced', 'b', { x: '2' }, true)).body.data).toEqual({ x: '2', y: '1' })
    expect((await applyData('forced', 'a', { y: '1' })).body.data).toEqual({ x: '2', y: '1' })
  })

  test('a patch takes what it changes from the applier; kubectl says who holds it', async () => {
    await kubectl(['apply', '--server-side', '-f', '-'], deployment('web:1', 'owned'))
    await kubectl(['set', 'image', 'deployment/owned', 'app=web:9'])
    const refused = await kubectl(['apply', '--server-side', '-f', '-'], deployment('web:2', 'owned'))
    expect(refused.code).toBe(1)
    expect(refused.stderr).toStartWith(
      'error: Apply failed with 1 conflict: conflict with "kubectl-set" using apps/v1: .spec.template.spec.containers[name="app"].image',
    )
    const forced = await kubectl(
      ['apply', '--server-side', '--force-conflicts', '-f', '-'],
      deployment('web:2', 'owned'),
    )
    expect(forced.stdout).toBe('deployment.apps/owned serverside-applied')
  })

  test('list items are owned one by one, and merged by their keys', async () => {
    const path = `${APPS}/deployments/items`
    await call('PATCH', `${path}?fieldManager=a`, deployment('web:1', 'items'), APPLY)
    const sidecar = { name: 'sidecar', image: 'side:1' }
    const added = await call('PATCH', `${path}?fieldManager=b`, only([sidecar]), APPLY)
    expect(added.body).toMatchObject({
      spec: { template: { spec: { containers: [{ name: 'app' }, sidecar] } } },
    })
    const removed = await call('PATCH', `${path}?fieldManager=b`, only([]), APPLY)
    expect(removed.status).toBe(200)
    expect(names({ ...removed.body, metadata: {} })).toBe(1)
  })

  test('managedFields say who owns what, as a real server writes it', async () => {
    await call('PATCH', `${NAMESPACED}/services/fields?fieldManager=a`, service({}, 'fields'), APPLY)
    const switched = { spec: { selector: { color: 'green' } } }
    await kubectl(['patch', 'service', 'fields', '-p', JSON.stringify(switched)])
    const shown = await kubectl([
      'get',
      'service',
      'fields',
      '--show-managed-fields',
      '-o',
      'jsonpath={.metadata.managedFields}',
    ])
    const port = { '.': {}, 'f:name': {}, 'f:port': {}, 'f:targetPort': {} }
    expect(JSON.parse(shown.stdout)).toMatchObject([
      {
        manager: 'a',
        operation: 'Apply',
        fieldsV1: { 'f:spec': { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': port } } },
      },
      { manager: 'kubectl-patch', operation: 'Update', fieldsV1: { 'f:spec': { 'f:selector': {} } } },
    ])
    expect((await kubectl(['get', 'service', 'fields', '-o', 'yaml'])).stdout).not.toContain('managedFields')
  })

  test('server-side apply may follow client-side apply: it takes over what that wrote, and only that', async () => {
    await kubectl(['apply', '-f', '-'], migrated('1'))
    const taken = await kubectl(['apply', '--server-side', '-f', '-'], migrated('2'))
    expect(taken).toEqual({ code: 0, stdout: 'configmap/migrated serverside-applied', stderr: '' })
    await kubectl(['apply', '-f', '-'], migrated('3'))
    await kubectl(['patch', 'configmap', 'migrated', '-p', '{"data":{"other":"y"}}'])
    const refused = await kubectl(['apply', '--server-side', '-f', '-'], migrated('4', 'z'))
    expect(refused.stderr).toStartWith(
      'error: Apply failed with 1 conflict: conflict with "kubectl-patch" using v1: .data.other',
    )
  })

  const SERVICE = `${NAMESPACED}/services`

  test('the selector of a Service has one owner: naming it after a switch is a conflict', async () => {
    await call('PATCH', `${SERVICE}/atomic?fieldManager=a`, service({}, 'atomic'), APPLY)
    await call(
      'PATCH',
      `${SERVICE}/atomic?fieldManager=switch&force=true`,
      service({ selector: { app: 'web', color: 'green' }, ports: [] }, 'atomic'),
      APPLY,
    )
    const refused = await call('PATCH', `${SERVICE}/atomic?fieldManager=a`, service({}, 'atomic'), APPLY)
    expect(refused.message).toBe('Apply failed with 1 conflict: conflict with "switch": .spec.selector')
  })

  test('who stops naming a selector that he owns empties it; who never owned it does not touch it', async () => {
    const { selector, ...rest } = { selector: { app: 'web' }, ports: [{ port: 80 }] }
    await call('PATCH', `${SERVICE}/emptied?fieldManager=a`, service({ selector, ...rest }, 'emptied'), APPLY)
    const other = await call(
      'PATCH',
      `${SERVICE}/emptied?fieldManager=b`,
      service({ selector: undefined, ...rest }, 'emptied'),
      APPLY,
    )
    expect(other.body).toMatchObject({ spec: { selector } })
    const emptied = await call(
      'PATCH',
      `${SERVICE}/emptied?fieldManager=a`,
      service({ selector: undefined, ...rest }, 'emptied'),
      APPLY,
    )
    expect(emptied.body.spec).not.toHaveProperty('selector')
  })

  test.each([
    [
      'an unknown field',
      { ...service({}, 'web'), spec: { selektor: {} } },
      '',
      500,
      'failed to create typed patch object (test/web; v1, Kind=Service): .spec.selektor: field not declared in schema',
    ],
    [
      'managedFields',
      { ...service({}, 'web'), metadata: { name: 'web', managedFields: [{ manager: 'x' }] } },
      '',
      400,
      'metadata.managedFields must be nil',
    ],
    [
      'another name',
      service({}, 'other'),
      '',
      400,
      'the name of the object (other) does not match the name on the URL (web)',
    ],
  ])('refuses %s', async (_what, body, query, status, message) => {
    const refused = await call('PATCH', `${SERVICE}/web?fieldManager=a${query}`, body, APPLY)
    expect({ status: refused.status, message: refused.message }).toEqual({ status, message })
  })

  test('refuses an apply without a manager', async () => {
    expect((await call('PATCH', `${SERVICE}/web`, service(), APPLY)).status).toBe(400)
  })
})
