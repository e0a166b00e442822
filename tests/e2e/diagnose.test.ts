/** For each of a deployment's three troubles causes are injected, one after the other; the true one is named first. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { asAccount } from '../../examples/rehearsal/kubeconfigs.ts'
import { output, ROOT, until } from '../../examples/rehearsal/program.ts'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import {
  container,
  field,
  inPods,
  logging,
  made,
  podSpec,
  reachedAt,
  scaledDown,
  stray,
  variable,
  type Inject,
} from './injections.ts'
import { REAL, exits, rehearsal } from './suite.ts'

setDefaultTimeout(300_000)

const stage = rehearsal()
let workspace: Workspace

/** 1.0.0 idle in blue, 2.0.0 live in green, and nobody has closed the connections of blue. */
beforeAll(async () => {
  const settings = { afterSwitch: 'keep', drain: '0s' }
  workspace = await stage().openForAll({ replicas: 1, settings }, '1.0.0', '2.0.0')
  exits(await workspace.deploy('1.0.0'), 0)
  exits(await workspace.deploy('2.0.0'), 0)
}, 300_000)

interface Diagnosis {
  healthy: boolean
  first: string
  causes: { id: string; what: string; certainty: string; evidence: string[]; next: string }[]
  unread: string[]
}

/** ms, also on a machine that has other work to do */
const SOON = 10_000

async function diagnose(env: Record<string, string> = {}): Promise<Diagnosis> {
  const { code, stdout, stderr, ms } = await workspace.run('diagnose-deployment', ['--json'], { env })
  expect(stderr).not.toContain('This is a bug of the scripts')
  expect(ms).toBeLessThan(SOON)
  const diagnosis: Diagnosis = JSON.parse(stdout)
  expect(code).toBe(diagnosis.healthy ? 0 : 1)
  return diagnosis
}

/** Pastes a command as a person would. */
const paste = (command: string): Promise<string> =>
  output(['bash', '-c', command], { cwd: ROOT, env: stage().cluster.env })

/** A cause, what injects it, and what must be said of it. */
type Case = [id: string, inject: Inject, says: RegExp]

function named(cases: readonly Case[]): void {
  test.each(cases)('%s', async (id, inject, says) => {
    const remove = await inject(workspace)
    try {
      let said = ''
      const look = async () => {
        const [first] = (await diagnose()).causes
        said = JSON.stringify(first, undefined, 1)
        return first?.id === id && says.test([first.what, ...first.evidence].join('\n')) ? first : undefined
      }
      const found = await until(`${id} named first`, look, 60_000).catch((error: unknown) => {
        throw new Error(`${String(error)}; but ${said}`)
      })
      expect(found.next).toMatch(/--context=\S+ --namespace=\S+|--env production|^dig /)
    } finally {
      await remove()
    }
  })
}

test('clients that nobody has moved are named, and the command that is told moves them: then all is well', async () => {
  const before = await workspace.resourceVersions()
  const { causes, healthy } = await diagnose()
  expect([healthy, causes.map(({ id }) => id)]).toEqual([true, ['kept-connections']])
  expect(await workspace.resourceVersions()).toBe(before)
  await paste(causes[0]?.next ?? '')
  await workspace.kubectl('rollout', 'status', `deployment/${APP}-blue`, '--timeout=60s')
  const after = await until('a healthy deployment is called healthy', async () => {
    const diagnosis = await diagnose()
    return diagnosis.causes.length === 0 ? diagnosis : undefined
  })
  expect(after).toMatchObject({ healthy: true, first: 'No color fails.', unread: [] })
})

test('the Role viewer is enough, and what is not allowed is named', async () => {
  await workspace.apply(await output(['kubectl', 'kustomize', `${ROOT}/k8s/rbac`]))
  const env = asAccount(workspace, 'viewer')
  expect(await diagnose(env)).toMatchObject({ healthy: true, unread: [] })
  const role = JSON.parse(await workspace.kubectl('get', 'role', 'viewer', '-o', 'json'))
  const rules = role.rules.filter(
    ({ resources }: { resources: string[] }) => !/pods\/log|networkpolicies/.test(resources.join()),
  )
  await workspace.apply({ ...role, metadata: { name: 'viewer' }, rules })
  const { unread } = await diagnose(env)
  expect(unread.toSorted().join('\n')).toMatch(/logs: .*forbidden[^]*networkpolicies: .*forbidden/i)
})

const AWAY = 'postgres://chat:pw@127.0.0.1:1/chat'
const LITTLE = { limits: { memory: '20Mi' } }

describe('checks fail', () => {
  named([
    [
      'image',
      inPods('blue', container('image', '127.0.0.1:1/nowhere/app:1')),
      /ErrImagePull|ImagePullBackOff/,
    ],
    [
      'configuration',
      inPods('blue', container('envFrom/-', { configMapRef: { name: 'forgotten' } })),
      /forgotten/,
    ],
    ['no-node', inPods('blue', podSpec('nodeSelector', { disk: 'none-such' })), /node/],
    ['pods-refused', inPods('blue', podSpec('serviceAccountName', 'nobody')), /nobody/],
    [
      'crash',
      inPods('blue', variable('FAULT_CRASH_AT_START', '1')),
      /FAULT_CRASH_AT_START asks this process to end/,
    ],
    ['out-of-memory', inPods('blue', container('resources', LITTLE)), /OOMKilled[^]*20Mi/],
    [
      'probe',
      inPods('blue', container('readinessProbe/httpGet/path', '/nope')),
      /readiness probe: it asks a path[^]*404/,
    ],
    ['not-ready', inPods('blue', variable('FAULT_NEVER_READY', '1')), /says that it is not ready[^]*503/],
    ['database', inPods('blue', variable('DATABASE_URL', AWAY)), /database[^]*from 1 pods/],
  ])
})

/** Somebody's hand; what is told to paste puts it right. */
const byHand =
  (color: string): Inject =>
  async (there) => {
    await field(`service/${APP}`, '/spec/selector/color', color, 'green')(there)
    return async () => {
      await paste((await diagnose()).causes[0]?.next ?? '')
      expect(await there.selector()).toEqual({ app: APP, color: 'green' })
    }
  }

/** Somebody has made an EndpointSlice for the live Service. */
const slice: Inject = async (workspace) => {
  // Before 1.21 it was a beta; and a real API takes no loopback address.
  const versions = (await workspace.kubectl('api-versions')).split('\n')
  const stable = 'discovery.k8s.io/v1'
  const object = {
    apiVersion: versions.includes(stable) ? stable : `${stable}beta1`,
    kind: 'EndpointSlice',
    metadata: { name: 'by-hand', labels: { 'kubernetes.io/service-name': APP } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 3000 }],
    endpoints: [{ addresses: [REAL ? '192.0.2.1' : '127.0.0.1'], conditions: { ready: true } }],
  }
  return await made(object, 'endpointslice/by-hand')(workspace)
}

describe('traffic does not switch', () => {
  const port = '/spec/ports/0/targetPort'
  const admitted = '/spec/ingress/0/ports/0/port'
  named([
    ['moved-by-hand', byHand('blue'), /somebody moved users to blue by hand/],
    ['selector', byHand('purple'), /selects no color[^]*purple/],
    ['target-port', field(`service/${APP}`, port, 'web', 'http'), /port web/],
    ['target-port', field(`service/${APP}`, port, 1, 'http'), /port 1,/],
    ['stray-pods', stray('green'), /debug/],
    ['foreign-endpoints', slice, /no pods[^]*by-hand/],
    [
      'network-policy',
      field(`networkpolicy/${APP}`, admitted, 3001, 3000),
      /port 3000 of green[^]*chatbot-platform/,
    ],
    ['dns', reachedAt(() => 'http://chat.example.invalid'), /chat.example.invalid/],
    ['address-elsewhere', reachedAt(({ previewUrl }) => previewUrl), /answered by blue/],
    ['scaled-down', scaledDown('green'), /scaled down/],
  ])
})

describe('many errors', () => {
  const dependency = variable('DEPENDENCY_URL', 'http://127.0.0.1:1/')
  const slowly = [container('resources/limits/cpu', '50m'), variable('FAULT_SLOW_MS', '700')]
  named([
    [
      'release-errors',
      inPods('green', variable('FAULT_ERROR_RATE', '0.5')),
      /2.0.0 answers or logs errors[^]*answers 500[^]*going back helps/,
    ],
    [
      'schema',
      logging('green', 'ERROR: column "mood" does not exist at 1'),
      /schema[^]*column "mood" does not exist/,
    ],
    ['dependency', inPods('green', dependency), /another service[^]*blue says nothing of it/],
    ['out-of-memory', inPods('green', container('resources', LITTLE)), /OOMKilled/],
    // A sandbox throttles nobody: the limit is real, the slowness is the application's own.
    ['cpu-limit', inPods('green', ...slowly), /0.05 CPUs at most[^]*that of blue: 1/],
  ])

  test('both colors fail: it is what they share, and going back does not help', async () => {
    const away = variable('DATABASE_URL', AWAY)
    const back = await Promise.all([inPods('blue', away)(workspace), inPods('green', away)(workspace)])
    const both = await until('both colors', async () => {
      const diagnosis = await diagnose()
      return diagnosis.first.startsWith('Both colors fail') &&
        diagnosis.causes[0]?.what.includes('from both colors')
        ? diagnosis
        : undefined
    })
    expect(both.causes[0]?.id).toBe('database')
    expect(JSON.stringify(both)).not.toMatch(/rollback-deployment|chat:pw/)
    await Promise.all(back.map((remove) => remove()))
  })
})

test('a deployment whose checks fail ends with where to look first, and its exit code is its own', async () => {
  workspace.configure({ smoke: [{ name: 'the page greets', path: '/', expect: { text: 'Guten Tag' } }] })
  const { stderr } = exits(await workspace.deploy('1.0.0', '--allow-failed-digest', 'why'), 1)
  workspace.configure()
  // Behind the sentence that says why; what follows names files.
  expect(stderr).toMatch(
    /^✗ .*\nFirst look: 1 checks of 1.0.0 did not pass \(smoke\)\n  bun scripts\/deployment-history.ts --env production --id \w+$/m,
  )
  const { causes } = await diagnose()
  expect(causes[0]).toMatchObject({ id: 'checks', evidence: [expect.stringContaining('Guten Tag')] })
})
