import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { at } from '../../../sandbox/api/json.ts'
import {
  APPS,
  JSON_PATCH,
  MERGE_PATCH,
  NAMESPACED,
  STRATEGIC_PATCH,
  deployment,
  service,
  startCluster,
} from './cluster.ts'

const cluster = startCluster()
afterAll(() => cluster.stop())

const { call, kubectl, store } = cluster
const WEB = `${NAMESPACED}/services/web`

beforeEach(async () => {
  store.remove('services', 'test', 'web')
  const created = { ...service(), metadata: { name: 'web', annotations: { token: 'mine' } } }
  expect((await call('POST', `${NAMESPACED}/services`, created)).status).toBe(201)
})

function selector(): unknown {
  return at(store.get('services', 'test', 'web'), 'spec', 'selector')
}

const REFUSED = 'the server rejected our request due to an error in our request'

const is = (path: string, value: unknown) => ({ op: 'test', path, value })

describe('JSON patch', () => {
  const set = { op: 'replace', path: '/spec/selector/color', value: 'green' }
  const cases: [string, unknown, number, string][] = [
    [
      'both tests hold',
      [is('/spec/selector/color', 'blue'), is('/metadata/annotations/token', 'mine'), set],
      200,
      'green',
    ],
    ['the color is another', [is('/spec/selector/color', 'green'), set], 422, 'blue'],
    ['the token is another', [is('/metadata/annotations/token', 'yours'), set], 422, 'blue'],
    [
      'a test after the write fails: nothing is written',
      [set, is('/metadata/annotations/token', 'yours')],
      422,
      'blue',
    ],
    ['the tested field is not there', [is('/metadata/annotations/none', 'x'), set], 422, 'blue'],
    ['a field that is not there equals null', [is('/metadata/annotations/none', null), set], 200, 'green'],
    [
      'a field that is there does not equal null',
      [is('/metadata/annotations/token', null), set],
      422,
      'blue',
    ],
    [
      'replace may add a key',
      [{ op: 'replace', path: '/spec/selector/shade', value: 'dark' }, set],
      200,
      'green',
    ],
    [
      'replace below nothing fails',
      [{ op: 'replace', path: '/spec/none/shade', value: 'dark' }, set],
      422,
      'blue',
    ],
    ['remove of nothing fails', [{ op: 'remove', path: '/spec/none' }, set], 422, 'blue'],
    ['an unknown operation', [{ op: 'switch', path: '/spec' }, set], 422, 'blue'],
  ]
  test.each(cases)('%s', async (_what, patch, status, color) => {
    const reply = await call('PATCH', WEB, patch, JSON_PATCH)
    expect(reply.status).toBe(status)
    if (status === 422) expect(reply.message).toBe(REFUSED)
    expect(selector()).toMatchObject({ app: 'web', color })
  })

  test('kubectl reports a failed test as a real server makes it', async () => {
    const patch = JSON.stringify([is('/spec/selector/color', 'green'), set])
    const failed = await kubectl(['patch', 'service', 'web', '--type', 'json', '-p', patch])
    expect(failed).toEqual({ code: 1, stdout: '', stderr: `The request is invalid: ${REFUSED}` })
  })

  test('of many writers with the same test, one wins', async () => {
    const writers = Array.from({ length: 20 }, () =>
      call('PATCH', WEB, [is('/spec/selector/color', 'blue'), set], JSON_PATCH),
    )
    const statuses = (await Promise.all(writers)).map(({ status }) => status)
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, ...Array.from({ length: 19 }, () => 422)])
  })
})

test('the patch that a person would type switches the color and keeps the rest', async () => {
  const patched = await kubectl(['patch', 'service', 'web', '-p', '{"spec":{"selector":{"color":"green"}}}'])
  expect(patched.stdout).toBe('service/web patched')
  expect(selector()).toEqual({ app: 'web', color: 'green' })
  const again = await kubectl(['patch', 'service', 'web', '-p', '{"spec":{"selector":{"color":"green"}}}'])
  expect(again.stdout).toBe('service/web patched (no change)')
})

describe('optimistic concurrency', () => {
  const modified =
    'the object has been modified; please apply your changes to the latest version and try again'

  test.each([
    ['PUT', () => service()],
    ['PATCH', () => ({})],
  ])('%s with an old resourceVersion is a conflict', async (method, body) => {
    const object = body() as { metadata?: object }
    object.metadata = { ...object.metadata, resourceVersion: '1' }
    const reply = await call(method, WEB, object, method === 'PATCH' ? MERGE_PATCH : {})
    expect(reply.status).toBe(409)
    expect(reply.message).toBe(`Operation cannot be fulfilled on services "web": ${modified}`)
  })

  test('a PUT with the stored resourceVersion, and one with none, are taken', async () => {
    const stored = store.get('services', 'test', 'web')
    expect((await call('PUT', WEB, stored)).status).toBe(200)
    expect((await call('PUT', WEB, service({ selector: { app: 'other' } }))).status).toBe(200)
    expect(selector()).toEqual({ app: 'other' })
  })

  test('another uid is a conflict', async () => {
    const reply = await call('PATCH', WEB, { metadata: { uid: 'x' } }, MERGE_PATCH)
    expect(reply.message).toContain('Precondition failed: UID in precondition: x, UID in object meta: ')
  })
})

describe('fieldValidation', () => {
  const unknown = { ...service({ selektor: {} }, 'strict') }

  test('Strict refuses an unknown field', async () => {
    const reply = await call('POST', `${NAMESPACED}/services?fieldValidation=Strict`, unknown)
    expect(reply.status).toBe(400)
    expect(reply.message).toBe(
      'Service in version "v1" cannot be handled as a Service: strict decoding error: unknown field "spec.selektor"',
    )
  })

  test('Warn, the default, says so in a header and drops it', async () => {
    const reply = await call('POST', `${NAMESPACED}/services?dryRun=All`, unknown)
    expect(reply.status).toBe(201)
    expect(reply.headers.get('warning')).toBe('299 - "unknown field \\"spec.selektor\\""')
    expect(reply.body.spec).not.toHaveProperty('selektor')
  })

  test('Ignore says nothing', async () => {
    const reply = await call('POST', `${NAMESPACED}/services?dryRun=All&fieldValidation=Ignore`, unknown)
    expect({ status: reply.status, warning: reply.headers.get('warning') }).toEqual({
      status: 201,
      warning: null,
    })
  })

  test('kubectl apply is strict unless it is told otherwise', async () => {
    const typo = { ...deployment(), spec: { ...(deployment().spec as object), replica: 3 } }
    const refused = await kubectl(['apply', '-f', '-'], typo)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain(
      'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replica"',
    )
    const warned = await kubectl(['apply', '--validate=warn', '--dry-run=server', '-f', '-'], typo)
    expect(warned.code).toBe(0)
    expect(warned.stderr).toContain('Warning: unknown field "spec.replica"')
  })

  test.each([
    [
      'POST',
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      'PATCH',
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
  ])('a value of the wrong type is refused in a %s', async (method, message) => {
    await call('POST', `${APPS}/deployments`, deployment('web:1', 'typed'))
    const wrong = { spec: { ...(deployment().spec as object), replicas: 'two' } }
    const path = method === 'POST' ? `${APPS}/deployments` : `${APPS}/deployments/typed`
    const reply = await call(method, path, wrong, method === 'PATCH' ? STRATEGIC_PATCH : {})
    expect(reply.status).toBe(method === 'POST' ? 400 : 422)
    expect(reply.message).toContain(message)
  })
})

test('a patch of another type, and one of something that is not there, are refused', async () => {
  expect((await call('PATCH', WEB, {}, { 'content-type': 'application/json' })).status).toBe(415)
  expect((await call('PATCH', `${WEB}2`, {}, MERGE_PATCH)).message).toBe('services "web2" not found')
  expect((await call('PATCH', WEB, [], MERGE_PATCH)).status).toBe(400)
  expect((await call('PATCH', WEB, '{', MERGE_PATCH)).status).toBe(400)
})

describe('scale', () => {
  test('kubectl scales, with and without the replicas it expects', async () => {
    await call('POST', `${APPS}/deployments`, deployment('web:1', 'scaled'))
    expect((await kubectl(['scale', 'deployment/scaled', '--replicas=3'])).stdout).toBe(
      'deployment.apps/scaled scaled',
    )
    const wrong = await kubectl(['scale', 'deployment/scaled', '--replicas=4', '--current-replicas=9'])
    expect(wrong.stderr).toContain('Expected replicas to be 9, was 3')
    expect(store.get('deployments', 'test', 'scaled')).toMatchObject({
      spec: { replicas: 3 },
      metadata: { generation: 2 },
    })
    const scale = await call('GET', `${APPS}/deployments/scaled/scale`)
    expect(scale.body).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 3 },
      status: { selector: 'app=web' },
    })
  })

  test('not below zero', async () => {
    await call('POST', `${APPS}/deployments`, deployment('web:1', 'below'))
    const reply = await call(
      'PATCH',
      `${APPS}/deployments/below/scale`,
      { spec: { replicas: -1 } },
      MERGE_PATCH,
    )
    expect(reply.message).toBe(
      'Scale.autoscaling "below" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    )
  })
})

test('a status is written through its subresource alone, and a spec never through it', async () => {
  await call('POST', `${APPS}/deployments`, deployment('web:1', 'split'))
  const both = { spec: { paused: true }, status: { replicas: 7 } }
  await call('PATCH', `${APPS}/deployments/split`, both, MERGE_PATCH)
  expect(store.get('deployments', 'test', 'split')).toMatchObject({ spec: { paused: true }, status: {} })
  await call(
    'PATCH',
    `${APPS}/deployments/split/status`,
    { spec: { paused: false }, status: { replicas: 7 } },
    MERGE_PATCH,
  )
  expect(store.get('deployments', 'test', 'split')).toMatchObject({
    spec: { paused: true },
    status: { replicas: 7 },
    metadata: { generation: 2 },
  })
})
