/** Traffic that somebody moves by hand, and manifests that somebody applies. */
import { expect } from 'bun:test'
import { join } from 'node:path'
import { APP } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, REAL, safely, since, unharmed, versions } from './suite.ts'

const stage = rehearsal()

/** Something about the Services that is not their selector. */
const annotated = (value: string) => ({
  shared: [
    {
      target: { kind: 'Service' },
      patch: [{ op: 'add', path: '/metadata/annotations', value: { note: value } }],
    },
  ],
})

const GUIDES_PATCH = (color: string): string[] => [
  'patch',
  'service',
  APP,
  '-p',
  JSON.stringify({ spec: { selector: { color } } }),
]

safely('S5: traffic moved with kubectl patch is never overwritten in silence', async () => {
  const workspace = await stage().open({}, '1.0.0', '2.0.0', '3.0.0')
  await workspace.bring('1.0.0', '2.0.0')
  expect((await workspace.status()).drift).toBeUndefined()
  await workspace.kubectl(...GUIDES_PATCH('blue'))

  const { live, drift = '' } = await workspace.status()
  expect(live).toBe('blue')
  expect(drift).toMatch(/traffic is on blue, but the last switch .* went to green .* by hand/)
  const shown = exits(await workspace.run('deployment-status'), 0)
  expect(shown.stderr).toContain('drift     traffic is on blue')

  const traffic = await workspace.traffic(40, 4)
  const deployed = exits(await workspace.deploy('3.0.0'), 0)
  expect(deployed.stderr).toContain('drift    traffic is on blue')
  expect(deployed.stderr).toContain('deploy   green')
  unharmed(await traffic.stop())
  const [record] = await workspace.history()
  expect(record?.drift).toBe(drift)
  expect(record?.from).toMatchObject({ color: 'blue', version: '1.0.0' })
  expect((await workspace.status()).drift).toBeUndefined()
})

safely('S2: applying manifests with changed Services never moves traffic', async () => {
  const workspace = await stage().open({}, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const traffic = await workspace.traffic(40, 4)
  const selected = { app: APP, color: 'blue' }
  workspace.overlay({ patches: annotated('by hand') })
  const shared = join(workspace.folder, 'overlay/shared')
  const rendered = await workspace.kubectl('kustomize', shared)
  const here = rendered.replaceAll('chatbot-platform-prod', workspace.namespace)
  await workspace.apply(here)
  expect(await workspace.selector()).toEqual(selected)
  await workspace.apply(here, '--server-side', '--force-conflicts')
  expect(await workspace.selector()).toEqual(selected)

  // A file that names a selector is left without it by the scripts; applied by hand it is somebody's own doing.
  workspace.overlay({
    patches: {
      shared: [
        ...annotated('by deploy').shared,
        {
          target: { kind: 'Service' },
          patch: [{ op: 'add', path: '/spec/selector', value: { app: APP, color: 'green' } }],
        },
      ],
    },
  })
  await stage().images.push('2.0.0-crash', { FAULT_CRASH_AT_START: '1' })
  exits(await workspace.deploy('2.0.0-crash'), 1)
  expect(await workspace.selector()).toEqual(selected)
  expect(await workspace.kubectl('get', 'service', APP, '-o', 'jsonpath={.metadata.annotations.note}')).toBe(
    'by deploy',
  )
  const samples = await traffic.stop()
  unharmed(samples)
  expect(versions(samples)).toEqual(['1.0.0'])
})

safely('S2: a deployment never changes the live workload, whatever its manifests change', async () => {
  const workspace = await stage().open({}, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const live = async (): Promise<unknown> => {
    const { metadata, spec } = JSON.parse(
      await workspace.kubectl('get', 'deployment', `${APP}-blue`, '-o', 'json'),
    )
    const config = await workspace.kubectl('get', 'configmap', `${APP}-config-blue`, '-o', 'jsonpath={.data}')
    return { generation: metadata.generation, spec, config: JSON.parse(config) }
  }
  const before = await live()
  workspace.configure({ afterSwitch: 'keep' })
  workspace.overlay({
    replicas: 3,
    patches: {
      painted: [
        {
          target: { kind: 'ConfigMap' },
          patch: [{ op: 'replace', path: '/data/LOG_LEVEL', value: 'debug' }],
        },
      ],
    },
  })
  exits(await workspace.deploy('2.0.0'), 0)
  expect(await live()).toEqual(before)
  expect(
    await workspace.kubectl('get', 'configmap', `${APP}-config-green`, '-o', 'jsonpath={.data.LOG_LEVEL}'),
  ).toBe('debug')
})

safely('S1: a pod that only carries the labels of a color never gets traffic', async () => {
  const workspace = await stage().open({}, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  const traffic = await workspace.traffic(40, 4)
  const image = `${stage().images.name}:1.0.0`
  await workspace.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'stray', labels: { app: APP, color: 'green' } },
    spec: {
      containers: [{ name: 'app', image, env: [{ name: 'DATABASE_URL', value: 'sqlite:/tmp/stray.db' }] }],
    },
  })
  workspace.configure({ timeouts: { rollout: '10s', ready: '8s' } })
  const refused = exits(await workspace.deploy('2.0.0'), 70)
  expect(refused.stderr).toContain(`stray carry green's labels but do not belong to Deployment ${APP}-green`)
  const moment = Date.now()
  const toGreen = ['--to', 'green', '--yes', '--override', 'a test']
  expect(exits(await workspace.run('switch-traffic', toGreen), 1).stderr).toContain('stray carry')
  expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })
  const samples = await traffic.stop(moment)
  unharmed(samples)
  expect(since(samples, moment).length).toBeGreaterThan(0)
  expect(versions(samples)).toEqual(['1.0.0'])
})

safely('S5: a selector that these scripts never write is never guessed at', async () => {
  const workspace = await stage().open({ replicas: 1 }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  await workspace.kubectl(
    'patch',
    'service',
    APP,
    '-p',
    JSON.stringify({ spec: { selector: { tier: 'web' } } }),
  )
  for (const run of [workspace.deploy('2.0.0'), workspace.rollback()]) {
    expect(exits(await run, 1).stderr).toMatch(
      /selects .*"tier":"web".*kubectl --context=\S+ --namespace=\S+ patch service chatbot-platform/s,
    )
  }
  const { problem, live } = await workspace.status()
  expect(live).toBeUndefined()
  expect(problem).toContain('"tier":"web"')
  expect(await workspace.selector()).toEqual({ app: APP, color: 'blue', tier: 'web' })
})

safely(
  `the preview is reached through kubectl port-forward where it has no address (${REAL ? 'real cluster' : 'not on the sandbox, which says so'})`,
  async () => {
    const workspace = await stage().open({ replicas: 1, environment: { previewUrl: undefined } }, '1.0.0')
    const deployed = exits(await workspace.deploy('1.0.0'), REAL ? 0 : 1)
    expect(deployed.stderr).toMatch(REAL ? /reached through kubectl port-forward/ : /port-?forward/)
  },
)
