/** Releases that cannot run: each must fail in seconds, with its own evidence, and never get a request. */
import { expect } from 'bun:test'
import { CONTAINER, type Part, type Patch } from '../../examples/rehearsal/overlay.ts'
import { TIMES, type Settings, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, REAL, rehearsal, safely, unharmed, versions } from './suite.ts'

const stage = rehearsal()

type Patches = Partial<Record<Part, readonly Patch[]>>

interface Broken {
  name: string
  faults?: Readonly<Record<string, string>>
  patches?: Patches
  migration?: boolean
  settings?: Settings
  /** What is wrong in the cluster. */
  spoil?: (workspace: Workspace) => Promise<unknown>
  /** All of this must be said. */
  says: RegExp[]
}

const inDeployment = (...patch: Patch['patch']): Patches => ({
  painted: [{ target: { kind: 'Deployment' }, patch }],
})

const BROKEN_MIGRATION = `console.error('column "mood" is missing'); process.exit(1)`

const cases: Broken[] = [
  {
    name: 'is never ready',
    faults: { FAULT_NEVER_READY: '1' },
    // Elsewhere a kubelet that is busy with other tests' pods has longer to say that one is ready.
    settings: { timeouts: { ...TIMES, ready: REAL ? '20s' : '8s' } },
    says: [/runs, but was not ready within (8|20) s/, /FAULT SWITCHED ON: FAULT_NEVER_READY/],
  },
  {
    name: 'crashes at start',
    faults: { FAULT_CRASH_AT_START: '1' },
    says: [
      /exited \d+ times, last with code 1|CrashLoopBackOff/,
      /FAULT_CRASH_AT_START asks this process to end/,
    ],
  },
  {
    name: 'needs an image that is nowhere',
    patches: inDeployment({
      op: 'add',
      path: '/spec/template/spec/containers/-',
      value: { name: 'sidecar', image: '127.0.0.1:1/nowhere/sidecar:1' },
    }),
    says: [/(ErrImagePull|ImagePullBackOff): .*sidecar/, /events of pod\//],
  },
  {
    name: 'needs a ConfigMap that is not there',
    patches: inDeployment({
      op: 'add',
      path: `${CONTAINER}/envFrom/-`,
      value: { configMapRef: { name: 'forgotten' } },
    }),
    says: [/CreateContainerConfigError: .*forgotten/],
  },
  {
    name: 'needs a key that its Secret lacks',
    patches: inDeployment({
      op: 'add',
      path: `${CONTAINER}/env/-`,
      value: { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'tokens', key: 'absent' } } },
    }),
    spoil: (workspace) =>
      workspace.kubectl('create', 'secret', 'generic', 'tokens', '--from-literal=present=1'),
    says: [/CreateContainerConfigError: .*absent/],
  },
  {
    name: 'finds no node',
    patches: inDeployment({
      op: 'add',
      path: '/spec/template/spec/nodeSelector',
      value: { disk: 'none-such' },
    }),
    says: [/unschedulable: /],
  },
  {
    name: 'has no room in the quota',
    spoil: (workspace) => workspace.kubectl('create', 'quota', 'few-pods', '--hard=pods=3'),
    says: [/There is no room for 2 more pods: quota few-pods: pods 2 of 3 used/],
  },
  {
    name: 'names an account that is not there',
    patches: inDeployment({ op: 'replace', path: '/spec/template/spec/serviceAccountName', value: 'nobody' }),
    says: [/pods cannot be created: .*nobody/],
  },
  {
    name: 'cannot migrate its database',
    migration: true,
    patches: {
      migration: [
        {
          target: { kind: 'Job' },
          patch: [{ op: 'replace', path: `${CONTAINER}/command`, value: ['bun', '-e', BROKEN_MIGRATION] }],
        },
      ],
    },
    says: [
      /The migration failed: job\/chatbot-platform-migrate: BackoffLimitExceeded/,
      /column "mood" is missing/,
    ],
  },
]

for (const { name, faults, patches, migration = false, settings = {}, spoil, says } of cases) {
  safely(`S1, S2: a release that ${name} never gets a request, and says why`, async () => {
    const workspace = await stage().open({ migration }, '1.0.0')
    await workspace.bring('1.0.0')
    const generation = (): Promise<string> =>
      workspace.kubectl('get', 'deployment', 'chatbot-platform-blue', '-o', 'jsonpath={.metadata.generation}')
    const before = await generation()
    const version = await stage().images.push(`2.0.0-${name.replaceAll(' ', '-')}`, faults)
    if (patches) workspace.overlay({ patches })
    workspace.configure(settings)
    await spoil?.(workspace)
    const traffic = await workspace.traffic(40, 4)

    const failed = exits(await workspace.deploy(version), 1)
    for (const text of says) expect(failed.stderr).toMatch(text)
    expect(failed.ms).toBeLessThan(60_000)
    const samples = await traffic.stop()
    unharmed(samples, 20)
    expect(versions(samples)).toEqual(['1.0.0'])
    expect(await workspace.selector()).toEqual({ app: 'chatbot-platform', color: 'blue' })
    expect(await generation()).toBe(before)
    const { lock, unfinished } = await workspace.status()
    expect({ lock, unfinished }).toEqual({ lock: undefined, unfinished: [] })
  })
}

safely('S1: --clean leaves no pods of a release that failed', async () => {
  const workspace = await stage().open({}, '1.0.0')
  await stage().images.push('2.0.0-crash', { FAULT_CRASH_AT_START: '1' })
  await workspace.bring('1.0.0')
  exits(await workspace.deploy('2.0.0-crash', '--clean'), 1)
  const { workloads } = await workspace.status()
  expect(workloads.map(({ color, wanted }) => [color, wanted])).toEqual([
    ['blue', 2],
    ['green', 0],
  ])
})
