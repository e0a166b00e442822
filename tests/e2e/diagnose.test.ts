/** For each of a deployment's three troubles causes are injected, one after the other; the true one is named first. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { asAccount } from '../../examples/rehearsal/kubeconfigs.ts'
import { CONTAINER } from '../../examples/rehearsal/overlay.ts'
import { output, ROOT, until } from '../../examples/rehearsal/program.ts'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal } from './suite.ts'

setDefaultTimeout(300_000)

const stage = rehearsal()
let workspace: Workspace

/** 1.0.0 idle in blue, 2.0.0 live in green, and nobody has closed the connections of blue. */
beforeAll(async () => {
  workspace = await stage().openForAll(
    { replicas: 1, settings: { afterSwitch: 'keep', drain: '0s' } },
    '1.0.0',
    '2.0.0',
  )
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

const kubectl = (...args: string[]): Promise<string> => workspace.kubectl(...args)

type Operation = Readonly<Record<string, unknown>>

/** Injects into a color's pods, and puts its template back. */
async function inPods(color: 'blue' | 'green', patch: readonly Operation[]): Promise<() => Promise<unknown>> {
  const name = `deployment/${APP}-${color}`
  const template: unknown = JSON.parse(await kubectl('get', name, '-o', 'jsonpath={.spec.template}'))
  await kubectl('patch', name, '--type=json', '-p', JSON.stringify(patch))
  return async () => {
    const back = [{ op: 'replace', path: '/spec/template', value: template }]
    await kubectl('patch', name, '--type=json', '-p', JSON.stringify(back))
    await kubectl('rollout', 'status', name, '--timeout=60s')
  }
}

const variable = (name: string, value: string): Operation => ({
  op: 'add',
  path: `${CONTAINER}/env/-`,
  value: { name, value },
})
const set = (path: string, value: unknown): Operation => ({ op: 'add', path: `${CONTAINER}/${path}`, value })
const inSpec = (field: string, value: unknown): Operation => ({
  op: 'add',
  path: `/spec/template/spec/${field}`,
  value,
})

const inService = async (patch: readonly Operation[], back: readonly Operation[]) => {
  await kubectl('patch', 'service', APP, '--type=json', '-p', JSON.stringify(patch))
  return () => kubectl('patch', 'service', APP, '--type=json', '-p', JSON.stringify(back))
}

/** A cause, what injects it (and returns what takes it away), and what must be said of it. */
type Case = [id: string, inject: () => Promise<() => Promise<unknown>>, says: RegExp]

function named(cases: readonly Case[]): void {
  test.each(cases)('%s', async (id, inject, says) => {
    const remove = await inject()
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
  const { causes, healthy } = await diagnose()
  expect([healthy, causes.map(({ id }) => id)]).toEqual([true, ['kept-connections']])
  await paste(causes[0]?.next ?? '')
  await kubectl('rollout', 'status', `deployment/${APP}-blue`, '--timeout=60s')
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
  const role = JSON.parse(await kubectl('get', 'role', 'viewer', '-o', 'json'))
  const rules = role.rules.filter(
    ({ resources }: { resources: string[] }) => !/pods\/log|networkpolicies/.test(resources.join()),
  )
  await workspace.apply({ ...role, metadata: { name: 'viewer' }, rules })
  const { unread } = await diagnose(env)
  expect(unread.join('\n')).toMatch(/networkpolicies: .*forbidden[^]*logs: .*forbidden/i)
})

describe('checks fail', () => {
  const blue =
    (...patch: Operation[]) =>
    () =>
      inPods('blue', patch)
  named([
    ['image', blue(set('image', '127.0.0.1:1/nowhere/app:1')), /ErrImagePull|ImagePullBackOff/],
    ['configuration', blue(set('envFrom/-', { configMapRef: { name: 'forgotten' } })), /forgotten/],
    ['no-node', blue(inSpec('nodeSelector', { disk: 'none-such' })), /node/],
    ['pods-refused', blue(inSpec('serviceAccountName', 'nobody')), /nobody/],
    ['crash', blue(variable('FAULT_CRASH_AT_START', '1')), /FAULT_CRASH_AT_START asks this process to end/],
    ['out-of-memory', blue(set('resources', { limits: { memory: '20Mi' } })), /OOMKilled[^]*20Mi/],
    ['probe', blue(set('readinessProbe/httpGet/path', '/nope')), /readiness probe: it asks a path[^]*404/],
    ['not-ready', blue(variable('FAULT_NEVER_READY', '1')), /says that it is not ready[^]*503/],
    [
      'database',
      blue(variable('DATABASE_URL', 'postgres://chat:pw@127.0.0.1:1/chat')),
      /database[^]*from 1 pods/,
    ],
  ])
})

describe('traffic does not switch', () => {
  const selector = '/spec/selector/color'
  const port = (value: unknown) => () =>
    inService(
      [{ op: 'replace', path: '/spec/ports/0/targetPort', value }],
      [{ op: 'replace', path: '/spec/ports/0/targetPort', value: 'http' }],
    )
  const pasted = (color: string) => async () => {
    await inService([{ op: 'replace', path: selector, value: color }], [])
    // What it says to paste puts it right.
    return async () => {
      const { causes } = await diagnose()
      await paste(causes[0]?.next ?? '')
      expect(await workspace.selector()).toEqual({ app: APP, color: 'green' })
    }
  }
  const made = (object: object, name: string) => async () => {
    await workspace.apply(object)
    return () => kubectl('delete', name, '--wait=false')
  }
  const reached = (url: () => string) => async () => {
    workspace.configure({}, { url: url() })
    return async () => workspace.configure()
  }
  const labels = { app: APP, color: 'green' }
  named([
    ['moved-by-hand', pasted('blue'), /somebody moved users to blue by hand/],
    ['selector', pasted('purple'), /selects no color[^]*purple/],
    ['target-port', port('web'), /port web/],
    ['target-port', port(1), /port 1,/],
    [
      'stray-pods',
      async () => {
        const image = await kubectl(
          'get',
          'deployment',
          `${APP}-blue`,
          '-o',
          'jsonpath={..containers[0].image}',
        )
        const spec = { containers: [{ name: 'app', image }], terminationGracePeriodSeconds: 0 }
        return made(
          { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'debug', labels }, spec },
          'pod/debug',
        )()
      },
      /debug/,
    ],
    [
      'foreign-endpoints',
      made(
        {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: { name: 'by-hand', labels: { 'kubernetes.io/service-name': APP } },
          addressType: 'IPv4',
          ports: [{ name: 'http', port: 3000 }],
          endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
        },
        'endpointslice/by-hand',
      ),
      /no pods[^]*by-hand/,
    ],
    [
      'network-policy',
      async () => {
        const admit = (port: number) =>
          kubectl(
            'patch',
            'networkpolicy',
            APP,
            '--type=json',
            '-p',
            JSON.stringify([{ op: 'replace', path: '/spec/ingress/0/ports/0/port', value: port }]),
          )
        await admit(3001)
        return () => admit(3000)
      },
      /port 3000 of green[^]*chatbot-platform[^]*answered all the same/,
    ],
    ['dns', reached(() => 'http://chat.example.invalid'), /chat.example.invalid/],
    ['address-elsewhere', reached(() => workspace.previewUrl), /answered by blue/],
    [
      'scaled-down',
      async () => {
        await kubectl('scale', 'deployment', `${APP}-green`, '--replicas=0')
        return async () => {
          await kubectl('scale', 'deployment', `${APP}-green`, '--replicas=1')
          await kubectl('rollout', 'status', `deployment/${APP}-green`, '--timeout=60s')
        }
      },
      /scaled down/,
    ],
  ])
})

describe('many errors', () => {
  const green =
    (...patch: Operation[]) =>
    () =>
      inPods('green', patch)
  const says = (line: string): Operation => ({
    op: 'add',
    path: '/spec/template/spec/containers/-',
    value: {
      name: 'app-log',
      image: 'IMAGE',
      command: ['bun', '-e', `setInterval(() => console.error(${JSON.stringify(line)}), 100)`],
    },
  })
  const lines = (line: string) => async () => {
    const image = await kubectl('get', 'deployment', `${APP}-green`, '-o', 'jsonpath={..containers[0].image}')
    const operation = JSON.parse(JSON.stringify(says(line)).replace('IMAGE', image))
    return inPods('green', [operation])
  }
  named([
    [
      'release-errors',
      green(variable('FAULT_ERROR_RATE', '0.5')),
      /2.0.0 answers or logs errors[^]*answers 500[^]*going back helps/,
    ],
    [
      'schema',
      lines('ERROR: column "mood" does not exist at character 1234'),
      /schema[^]*column "mood" does not exist/,
    ],
    [
      'dependency',
      green(variable('DEPENDENCY_URL', 'http://127.0.0.1:1/')),
      /another service[^]*blue says nothing of it/,
    ],
    ['out-of-memory', green(set('resources', { limits: { memory: '20Mi' } })), /OOMKilled/],
    [
      'cpu-limit',
      green(set('resources/limits/cpu', '50m'), variable('FAULT_SLOW_MS', '700')),
      /0.05 CPUs at most[^]*that of blue: 1/,
    ],
  ])

  test('both colors fail: it is what they share, and going back does not help', async () => {
    const patch = [variable('DATABASE_URL', 'postgres://chat:pw@127.0.0.1:1/chat')]
    const back = await Promise.all([inPods('blue', patch), inPods('green', patch)])
    const both = await until('both colors', async () => {
      const diagnosis = await diagnose()
      return diagnosis.first.startsWith('Both colors fail') ? diagnosis : undefined
    })
    expect(both.causes[0]).toMatchObject({
      id: 'database',
      what: expect.stringContaining('from both colors'),
    })
    expect(JSON.stringify(both)).not.toContain('rollback-deployment')
    await Promise.all(back.map((remove) => remove()))
  })
})

test('a deployment whose checks fail ends with where to look first, and its exit code is its own', async () => {
  workspace.configure({ smoke: [{ name: 'the page greets', path: '/', expect: { text: 'Guten Tag' } }] })
  const { stderr } = exits(await workspace.deploy('1.0.0', '--allow-failed-digest', 'why'), 1)
  workspace.configure()
  expect(stderr.trimEnd().split('\n').slice(-2)).toEqual([
    expect.stringMatching(/^First look: 1 checks of 1.0.0 did not pass \(smoke\)$/),
    expect.stringMatching(/^  bun scripts\/deployment-history.ts --env production --id \w+$/),
  ])
  const { causes } = await diagnose()
  expect(causes[0]).toMatchObject({ id: 'checks', evidence: [expect.stringContaining('Guten Tag')] })
})
