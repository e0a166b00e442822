import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { APPS, NAMESPACED, startCluster } from './cluster.ts'

const cluster = startCluster()
afterAll(() => cluster.stop())

const { call, kubectl, store } = cluster
const ROBOT = 'system:serviceaccount:test:robot'

beforeAll(async () => {
  const made = [
    ['create', 'serviceaccount', 'robot'],
    ['create', 'role', 'deployer', '--verb=get,list,patch', '--resource=deployments.apps,services,pods/log'],
    [
      'create',
      'role',
      'one-lease',
      '--verb=update',
      '--resource=leases.coordination.k8s.io',
      '--resource-name=web-deploy',
    ],
    ['create', 'rolebinding', 'deployer', '--role=deployer', '--serviceaccount=test:robot'],
    ['create', 'rolebinding', 'one-lease', '--role=one-lease', '--serviceaccount=test:robot'],
    ['create', 'rolebinding', 'viewers', '--clusterrole=view', '--group=auditors'],
    ['create', 'clusterrolebinding', 'boss', '--clusterrole=cluster-admin', '--user=alice'],
  ]
  for (const each of made) expect((await kubectl(each)).stderr).toBe('')
})

describe('kubectl auth can-i', () => {
  const cases: [string, string[], string[], 'yes' | 'no'][] = [
    ['nobody in particular is the administrator', ['delete', 'pods'], [], 'yes'],
    ['an unknown user may do nothing', ['list', 'pods'], ['--as=bob'], 'no'],
    ['a rule of a Role', ['list', 'deployments.apps'], [`--as=${ROBOT}`], 'yes'],
    ['a verb that is not in it', ['delete', 'deployments.apps'], [`--as=${ROBOT}`], 'no'],
    ['another namespace', ['list', 'deployments.apps', '-n', 'default'], [`--as=${ROBOT}`], 'no'],
    ['a subresource', ['get', 'pods', '--subresource=log'], [`--as=${ROBOT}`], 'yes'],
    ['its parent is another matter', ['get', 'pods'], [`--as=${ROBOT}`], 'no'],
    ['the named object', ['update', 'leases.coordination.k8s.io/web-deploy'], [`--as=${ROBOT}`], 'yes'],
    ['an object of another name', ['update', 'leases.coordination.k8s.io/other'], [`--as=${ROBOT}`], 'no'],
    [
      'a ClusterRole bound in a namespace, to a group',
      ['list', 'pods'],
      ['--as=bob', '--as-group=auditors'],
      'yes',
    ],
    ['and only to read', ['create', 'pods'], ['--as=bob', '--as-group=auditors'], 'no'],
    ['a ClusterRoleBinding reaches everywhere', ['delete', 'nodes'], ['--as=alice'], 'yes'],
    ['a path', ['get', '/version'], ['--as=bob'], 'yes'],
  ]
  test.each(cases)('%s', async (_what, question, as, answer) => {
    const asked = await kubectl(['auth', 'can-i', ...question, ...as])
    expect({ answer: asked.stdout, code: asked.code }).toEqual({ answer, code: answer === 'yes' ? 0 : 1 })
  })

  test('--list shows the rules', async () => {
    const { stdout } = await kubectl(['auth', 'can-i', '--list', `--as=${ROBOT}`])
    const rows = stdout.split('\n').map((line) => line.split(/\s{2,}/))
    expect(rows).toContainEqual(['deployments.apps', '[]', '[]', '[get list patch]'])
    expect(rows).toContainEqual(['leases.coordination.k8s.io', '[]', '[web-deploy]', '[update]'])
  })
})

describe('what is refused', () => {
  const robot = { 'impersonate-user': ROBOT }
  const cases: [string, string, string, string][] = [
    [
      'a collection',
      'DELETE',
      `${APPS}/deployments`,
      `deployments.apps is forbidden: User "${ROBOT}" cannot deletecollection resource "deployments" in API group "apps" in the namespace "test"`,
    ],
    [
      'an object',
      'GET',
      `${NAMESPACED}/secrets/s`,
      `secrets "s" is forbidden: User "${ROBOT}" cannot get resource "secrets" in API group "" in the namespace "test"`,
    ],
    [
      'a watch',
      'GET',
      `${NAMESPACED}/pods?watch=1`,
      `pods is forbidden: User "${ROBOT}" cannot watch resource "pods" in API group "" in the namespace "test"`,
    ],
    [
      'a subresource',
      'PATCH',
      `${APPS}/deployments/d/scale`,
      `deployments.apps "d" is forbidden: User "${ROBOT}" cannot patch resource "deployments/scale" in API group "apps" in the namespace "test"`,
    ],
    [
      'the whole cluster',
      'GET',
      '/api/v1/pods',
      `pods is forbidden: User "${ROBOT}" cannot list resource "pods" in API group "" at the cluster scope`,
    ],
    ['a path', 'GET', '/metrics', `forbidden: User "${ROBOT}" cannot get path "/metrics"`],
  ]
  test.each(cases)('%s', async (_what, method, path, message) => {
    const reply = await call(method, path, method === 'GET' ? undefined : {}, robot)
    expect({ status: reply.status, message: reply.message }).toEqual({ status: 403, message })
  })

  test('kubectl prints the sentence', async () => {
    const refused = await kubectl(['get', 'secrets', `--as=${ROBOT}`])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toBe(
      `Error from server (Forbidden): secrets is forbidden: User "${ROBOT}" cannot list resource "secrets" in API group "" in the namespace "test"`,
    )
  })
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('a token of a ServiceAccount', () => {
  test('acts as the account', async () => {
    const { stdout: token } = await kubectl(['create', 'token', 'robot'])
    expect((await call('GET', `${APPS}/deployments`, undefined, bearer(token))).status).toBe(200)
    const refused = await call('GET', `${NAMESPACED}/secrets`, undefined, bearer(token))
    expect(refused.message).toStartWith(`secrets is forbidden: User "${ROBOT}"`)
    const posing = await call('GET', `${NAMESPACED}/secrets`, undefined, {
      ...bearer(token),
      'impersonate-user': 'alice',
    })
    expect(posing.message).toContain('cannot impersonate resource "users"')
  })

  test('forged, or of an account that was replaced, is refused', async () => {
    const { stdout: token } = await kubectl(['create', 'token', 'robot'])
    const [head = '', body = '', signature = ''] = token.split('.')
    const claims = Buffer.from(body, 'base64url').toString().replaceAll('robot', 'other')
    const forged = `${head}.${Buffer.from(claims).toString('base64url')}.${signature}`
    for (const each of [forged, `${token}x`, 'nonsense']) {
      expect((await call('GET', `${APPS}/deployments`, undefined, bearer(each))).status).toBe(401)
    }
    store.remove('serviceaccounts', 'test', 'robot')
    await kubectl(['create', 'serviceaccount', 'robot'])
    expect((await call('GET', `${APPS}/deployments`, undefined, bearer(token))).status).toBe(401)
  })

  test('of nobody is not given', async () => {
    const refused = await kubectl(['create', 'token', 'nobody'])
    expect(refused.stderr).toBe('error: failed to create token: serviceaccounts "nobody" not found')
  })
})
