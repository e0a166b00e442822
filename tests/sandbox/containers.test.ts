/** What becomes of containers: states, probes, restarts, configuration, logs. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { dirname } from 'node:path'
import type { ContainerStatus, KubeEvent, Pod } from '../../sandbox/kinds.ts'
import { PATIENCE_MS, PROGRAM, READY, TestCluster, pod } from './fixtures/cluster.ts'

let cluster: TestCluster
let image: string

beforeAll(async () => {
  cluster = new TestCluster()
  image = await cluster.push('app:1')
})
afterAll(() => cluster.stop())
setDefaultTimeout(2 * PATIENCE_MS)

const first = ({ status }: Pod): ContainerStatus | undefined => status?.containerStatuses?.[0]
const waiting = (reason: string) => (one: Pod) => first(one)?.state.waiting?.reason === reason
const isReady = (one: Pod) => first(one)?.ready === true
const untilPod = (name: string, isWanted: (one: Pod) => boolean) => cluster.until<Pod>('pods', name, isWanted)
const addressOf = (one: Pod) => `http://${one.status?.podIP}:8080`

function eventsOf(name: string, reason: string): KubeEvent[] {
  const events = cluster.store.list<KubeEvent>('events', 'default')
  return events.filter((event) => event.involvedObject.name === name && event.reason === reason)
}

const status = (one: Pod, type: string) =>
  one.status?.conditions?.find((condition) => condition.type === type)?.status

describe('states', () => {
  test.concurrent('a program that exits restarts once, then backs off', async () => {
    await cluster.apply(
      pod('crash', {
        image,
        env: [
          { name: 'EXIT_AFTER_MS', value: '1' },
          { name: 'EXIT_CODE', value: '7' },
        ],
      }),
    )
    const crashed = await untilPod('crash', waiting('CrashLoopBackOff'))
    expect(first(crashed)).toMatchObject({
      restartCount: 1,
      ready: false,
      lastState: { terminated: { exitCode: 7, reason: 'Error' } },
    })
    expect(first(crashed)?.state.waiting?.message).toMatch(
      /^back-off 10s restarting failed container=app pod=crash_default\(/,
    )
    expect(crashed.status?.phase).toBe('Running')
    expect(eventsOf('crash', 'BackOff')[0]).toMatchObject({ type: 'Warning', count: 1 })
    expect(eventsOf('crash', 'Started')[0]?.count).toBe(2)
    expect(await cluster.kubectl('get', 'pod', 'crash')).toContain('CrashLoopBackOff')
    expect(await cluster.kubectl('logs', 'crash', '--previous')).toContain('listening')
  })

  test.concurrent('a pod that is never ready runs and gets no traffic', async () => {
    const env = [{ name: 'NEVER_READY', value: '1' }]
    await cluster.apply(pod('never', { image, env, readinessProbe: READY }))
    const failure = 'Readiness probe failed: HTTP probe failed with statuscode: 503'
    await cluster.untilAll('events', () =>
      eventsOf('never', 'Unhealthy').some(({ message }) => message === failure),
    )
    const never = await untilPod('never', (one) => one.status?.phase === 'Running')
    expect([status(never, 'Initialized'), status(never, 'Ready'), status(never, 'ContainersReady')]).toEqual([
      'True',
      'False',
      'False',
    ])
    expect(first(never)).toMatchObject({ ready: false, started: true, restartCount: 0 })
  })

  test.concurrent.each([
    ['missing', 'ErrImagePull', 'missing:1: not found'],
    ['UPPER', 'InvalidImageName', "couldn't parse image reference"],
  ])('image %s: %s', async (name, reason, message) => {
    const podName = `image-${name.toLowerCase()}`
    const shown = untilPod(podName, waiting(reason))
    await cluster.apply(pod(podName, { image: `${cluster.sandbox.registry}/${name}:1` }))
    expect(first(await shown)?.state.waiting?.message).toContain(message)
    expect((await shown).status?.phase).toBe('Pending')
  })

  test.concurrent('a missing image goes from ErrImagePull to ImagePullBackOff', async () => {
    const wanted = `${cluster.sandbox.registry}/gone:1`
    await cluster.apply(pod('gone', { image: wanted }))
    const backedOff = await untilPod('gone', waiting('ImagePullBackOff'))
    expect(first(backedOff)?.state.waiting?.message).toBe(`Back-off pulling image "${wanted}"`)
    const failures = eventsOf('gone', 'Failed').map(({ message }) => message)
    expect(failures[0]).toStartWith(`Failed to pull image "${wanted}": `)
    expect(failures[0]).toEndWith('not found')
    expect(failures.slice(1)).toEqual(['Error: ErrImagePull', 'Error: ImagePullBackOff'])
  })

  test.concurrent('imagePullPolicy Never', async () => {
    await cluster.apply(
      pod('never-pull', { image: `${cluster.sandbox.registry}/app:other`, imagePullPolicy: 'Never' }),
    )
    await untilPod('never-pull', waiting('ErrImageNeverPull'))
  })

  test.concurrent('IfNotPresent keeps what was pulled under a tag, Always asks again', async () => {
    const tag = `${cluster.sandbox.registry}/moving:1`
    const before = await cluster.push('moving:1', { VERSION: 'a' })
    await cluster.apply(pod('moving-a', { image: tag, imagePullPolicy: 'IfNotPresent' }))
    await untilPod('moving-a', isReady)
    const after = await cluster.push('moving:1', { VERSION: 'b' })
    await cluster.apply(pod('moving-b', { image: tag, imagePullPolicy: 'IfNotPresent' }))
    await cluster.apply(pod('moving-c', { image: tag, imagePullPolicy: 'Always' }))
    expect(first(await untilPod('moving-b', isReady))?.imageID).toBe(before)
    expect(first(await untilPod('moving-c', isReady))?.imageID).toBe(after)
  })

  test.concurrent('a program that is not there: StartError', async () => {
    await cluster.apply(
      pod('no-program', { image, command: ['/no/such/program'] }, { restartPolicy: 'Never' }),
    )
    const failed = await untilPod('no-program', ({ status: now }) => now?.phase === 'Failed')
    expect(first(failed)?.state.terminated).toMatchObject({ exitCode: 128, reason: 'StartError' })
  })

  test.concurrent('beyond its memory limit: OOMKilled, 137', async () => {
    const env = [{ name: 'HOLD_MB', value: '200' }]
    const resources = { limits: { memory: '100Mi' } }
    await cluster.apply(pod('hungry', { image, env, resources }, { restartPolicy: 'Never' }))
    const killed = await untilPod('hungry', ({ status: now }) => now?.phase === 'Failed')
    expect(first(killed)?.state.terminated).toMatchObject({ exitCode: 137, signal: 9, reason: 'OOMKilled' })
  })
})

describe('probes', () => {
  test.concurrent('liveness restarts, readiness takes the traffic away', async () => {
    const livenessProbe = {
      httpGet: { path: '/alive', port: 8080 },
      periodSeconds: 1,
      failureThreshold: 1,
      initialDelaySeconds: 1,
      timeoutSeconds: 10,
    }
    await cluster.apply(pod('mortal', { image, livenessProbe, readinessProbe: READY }))
    const up = await untilPod('mortal', isReady)
    const unready = untilPod(
      'mortal',
      (one) => one.status?.phase === 'Running' && status(one, 'Ready') === 'False',
    )
    await fetch(`${addressOf(up)}/die-slowly`)
    await unready
    const restarted = await untilPod('mortal', (one) => isReady(one) && first(one)?.restartCount === 1)
    expect(first(restarted)?.lastState.terminated?.exitCode).toBe(0) // it obeyed SIGTERM
    expect(eventsOf('mortal', 'Killing')[0]?.message).toBe(
      'Container app failed liveness probe, will be restarted',
    )
    expect(eventsOf('mortal', 'Unhealthy').map(({ message }) => message)).toContain(
      'Liveness probe failed: HTTP probe failed with statuscode: 500',
    )
  })

  test.concurrent('readiness follows the program, with the threshold', async () => {
    const readinessProbe = { ...READY, failureThreshold: 2 }
    await cluster.apply(pod('moody', { image, readinessProbe }))
    const up = await untilPod('moody', isReady)
    await fetch(`${addressOf(up)}/unready`)
    const down = await untilPod('moody', (one) => !isReady(one))
    expect(status(down, 'Ready')).toBe('False')
    expect(first(down)?.restartCount).toBe(0)
  })

  test.concurrent('a startup probe holds the others back, and its failure restarts', async () => {
    const startupProbe = { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 2 }
    await cluster.apply(pod('late', { image, startupProbe, readinessProbe: READY }))
    const running = await untilPod('late', (one) => first(one)?.state.running !== undefined)
    expect(first(running)).toMatchObject({ started: false, ready: false })
    await untilPod('late', (one) => first(one)?.restartCount === 1)
    expect(eventsOf('late', 'Killing')[0]?.message).toBe(
      'Container app failed startup probe, will be restarted',
    )
    expect(eventsOf('late', 'Unhealthy').map(({ message }) => message)).toEqual([
      'Startup probe failed: command terminated with exit code 1',
    ])
  })

  test.concurrent.each([
    ['tcp', { tcpSocket: { port: 'http' } }],
    ['exec', { exec: { command: ['sh', '-c', 'test "$VERSION" = probed'] } }],
    ['http', { httpGet: { path: '/', port: 'http', httpHeaders: [{ name: 'X-Probe', value: '1' }] } }],
  ])('%s handler', async (name, handler) => {
    const readinessProbe = { ...handler, periodSeconds: 1 }
    const env = [{ name: 'VERSION', value: 'probed' }]
    const ports = [{ name: 'http', containerPort: 8080, protocol: 'TCP' }]
    await cluster.apply(pod(`by-${name}`, { image, env, ports, readinessProbe }))
    await untilPod(`by-${name}`, isReady)
  })
})

describe('configuration', () => {
  test.concurrent('every source of environment', async () => {
    await cluster.kubectl(
      'create',
      'configmap',
      'settings',
      '--from-literal=COLOR=blue',
      '--from-literal=SIZE=4',
    )
    await cluster.kubectl('create', 'secret', 'generic', 'keys', '--from-literal=TOKEN=s3cret')
    await cluster.kubectl('create', 'service', 'clusterip', 'data-base', '--tcp=5432:5432')
    const env = [
      { name: 'COLOR', value: 'green' },
      { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'TOKEN' } } },
      { name: 'ABSENT', valueFrom: { configMapKeyRef: { name: 'none', key: 'x', optional: true } } },
      { name: 'SELF', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'requests.cpu', divisor: '1m' } } },
      { name: 'URL', value: 'http://$(SELF):$(PORT)/$$(SELF)/$(UNKNOWN)' },
    ]
    const envFrom = [{ configMapRef: { name: 'settings' } }, { prefix: 'K_', secretRef: { name: 'keys' } }]
    const resources = { requests: { cpu: '250m' } }
    const withPort = await cluster.push('env:1', { PORT: '8080', HOST: '0.0.0.0' })
    await cluster.apply(pod('env', { image: withPort, env, envFrom, resources, readinessProbe: READY }))
    const up = await untilPod('env', isReady)
    const seen = (await (await fetch(`${addressOf(up)}/env`)).json()) as Record<string, string>
    expect(seen).toMatchObject({
      COLOR: 'green',
      SIZE: '4',
      TOKEN: 's3cret',
      K_TOKEN: 's3cret',
      SELF: 'env',
      IP: up.status?.podIP ?? '',
      HOST: up.status?.podIP ?? '',
      HOSTNAME: 'env',
      LABEL: 'env',
      CPU: '250',
      URL: 'http://env:8080/$(SELF)/$(UNKNOWN)',
      DATA_BASE_SERVICE_PORT: '5432',
    })
    expect(seen.DATA_BASE_SERVICE_HOST).toStartWith('127.96.')
    expect(seen).not.toHaveProperty('ABSENT')
    expect(seen).not.toHaveProperty('KUBECONFIG')
  })

  test.concurrent.each([
    ['no-map', { configMapRef: { name: 'nowhere' } }, 'configmap "nowhere" not found'],
    ['no-secret', { secretRef: { name: 'nowhere' } }, 'secret "nowhere" not found'],
  ])('%s: CreateContainerConfigError', async (name, source, message) => {
    await cluster.apply(pod(name, { image, envFrom: [source] }))
    const stuck = await untilPod(name, waiting('CreateContainerConfigError'))
    expect(first(stuck)?.state.waiting?.message).toBe(message)
    expect(eventsOf(name, 'Failed')[0]?.message).toBe(`Error: ${message}`)
  })

  test.concurrent('a missing key is named, and the container starts once it is there', async () => {
    const valueFrom = { configMapKeyRef: { name: 'late-map', key: 'k' } }
    await cluster.kubectl('create', 'configmap', 'late-map', '--from-literal=other=1')
    await cluster.apply(pod('late-config', { image, env: [{ name: 'K', valueFrom }], readinessProbe: READY }))
    const stuck = await untilPod('late-config', waiting('CreateContainerConfigError'))
    expect(first(stuck)?.state.waiting?.message).toBe("couldn't find key k in ConfigMap default/late-map")
    await cluster.kubectl('patch', 'configmap', 'late-map', '-p', '{"data":{"k":"v"}}')
    await untilPod('late-config', isReady)
  })

  test.concurrent('volumes are directories, and paths below a mountPath lead there', async () => {
    await cluster.kubectl('create', 'configmap', 'files', '--from-literal=app.conf=from the map')
    const script = 'cat /etc/app/app.conf > /data/copy && cat /data/copy && echo /etc/application'
    const volumes = [
      { name: 'config', configMap: { name: 'files' } },
      { name: 'data', emptyDir: {} },
    ]
    const volumeMounts = [
      { name: 'config', mountPath: '/etc/app' },
      { name: 'data', mountPath: '/data' },
    ]
    await cluster.apply(
      pod(
        'reader',
        { image, command: ['sh', '-c', script], volumeMounts },
        { volumes, restartPolicy: 'Never' },
      ),
    )
    await untilPod('reader', ({ status: now }) => now?.phase === 'Succeeded')
    expect(await cluster.kubectl('logs', 'reader')).toBe('from the map/etc/application\n')
  })

  test.concurrent("an image's own paths lead to the directories that stand for them", async () => {
    const labels = { 'sandbox.path:/app': dirname(PROGRAM) }
    const entrypoint = ['bun', '/app/program.ts']
    const own = await cluster.push('paths:1', {}, { entrypoint, labels, workingDir: '/app' })
    await cluster.apply(pod('paths', { image: own, readinessProbe: READY }))
    await untilPod('paths', isReady)
    const replaced = { image: own, command: ['sh', '-c', 'pwd; ls /app/program.ts'] }
    await cluster.apply(pod('paths-command', replaced, { restartPolicy: 'Never' }))
    await untilPod('paths-command', ({ status: now }) => now?.phase === 'Succeeded')
    expect(await cluster.kubectl('logs', 'paths-command')).toBe(`${dirname(PROGRAM)}\n${PROGRAM}\n`)
  })

  test.concurrent('a volume of a missing ConfigMap keeps the pod in ContainerCreating, with FailedMount', async () => {
    const volumes = [{ name: 'config', configMap: { name: 'not-there' } }]
    const volumeMounts = [{ name: 'config', mountPath: '/etc/app' }]
    await cluster.apply(pod('unmounted', { image, volumeMounts }, { volumes }))
    await cluster.untilAll<KubeEvent>('events', () => eventsOf('unmounted', 'FailedMount').length > 0)
    expect(eventsOf('unmounted', 'FailedMount')[0]?.message).toBe(
      'MountVolume.SetUp failed for volume "config" : configmap "not-there" not found',
    )
    await untilPod('unmounted', waiting('ContainerCreating'))
  })

  test.concurrent('init containers run in order, before the others', async () => {
    const volumes = [{ name: 'data', emptyDir: {} }]
    const volumeMounts = [{ name: 'data', mountPath: '/data' }]
    const step = (name: string) => ({
      name,
      image,
      volumeMounts,
      command: ['sh', '-c', `echo ${name} >> /data/order`],
    })
    const initContainers = [step('one'), step('two')]
    const main = { image, volumeMounts, command: ['sh', '-c', 'cat /data/order'] }
    await cluster.apply(pod('prepared', main, { volumes, initContainers, restartPolicy: 'Never' }))
    const done = await untilPod('prepared', ({ status: now }) => now?.phase === 'Succeeded')
    expect(await cluster.kubectl('logs', 'prepared', '-c', 'app')).toBe('one\ntwo\n')
    expect(done.status?.initContainerStatuses?.map(({ state }) => state.terminated?.reason)).toEqual([
      'Completed',
      'Completed',
    ])
  })

  test.concurrent('an init container that fails keeps the pod from starting', async () => {
    const initContainers = [{ name: 'broken', image, command: ['false'] }]
    await cluster.apply(pod('unprepared', { image }, { initContainers, restartPolicy: 'Never' }))
    const failed = await untilPod('unprepared', ({ status: now }) => now?.phase === 'Failed')
    expect(first(failed)?.state.waiting?.reason).toBe('PodInitializing')
  })
})

describe('logs', () => {
  test.concurrent('stdout and stderr, the tail, with time, and of a container that has not started', async () => {
    await cluster.apply(pod('talker', { image, readinessProbe: READY }))
    await untilPod('talker', isReady)
    const text = await cluster.kubectl('logs', 'talker')
    expect(text.split('\n').toSorted()).toEqual([
      '',
      'a line on stderr',
      expect.stringMatching(/^listening on 127\./),
    ])
    expect((await cluster.kubectl('logs', 'talker', '--tail=1')).split('\n')).toHaveLength(2)
    expect(await cluster.kubectl('logs', 'talker', '--timestamps')).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z /)
    const none = await cluster.try(['logs', 'talker', '--previous'])
    expect(none).toMatchObject({ code: 1 })
    expect(none.stderr).toContain('previous terminated container "app" in pod "talker" not found')
    await cluster.apply(pod('silent', { image: `${cluster.sandbox.registry}/silent:1` }))
    await untilPod('silent', waiting('ErrImagePull'))
    const early = await cluster.try(['logs', 'silent'])
    expect(early.stderr).toContain('container "app" in pod "silent" is waiting to start')
  })

  test.concurrent('--follow ends with the container', async () => {
    const command = ['sh', '-c', 'echo first; sleep 1; echo last']
    await cluster.apply(pod('follow', { image, command }, { restartPolicy: 'Never' }))
    await untilPod('follow', (one) => first(one)?.state.running !== undefined)
    expect(await cluster.kubectl('logs', '-f', 'follow')).toBe('first\nlast\n')
  })
})

test.concurrent('a pod that does not fit says why, and is placed when it does', async () => {
  await cluster.apply(pod('big', { image, resources: { requests: { cpu: '1000' } } }))
  await cluster.untilAll<KubeEvent>('events', () => eventsOf('big', 'FailedScheduling').length > 0)
  expect(eventsOf('big', 'FailedScheduling')[0]?.message).toBe('0/1 nodes are available: 1 Insufficient cpu.')
  await cluster.apply(pod('choosy', { image }, { nodeSelector: { disk: 'ssd' } }))
  const pending = await untilPod('choosy', (one) => status(one, 'PodScheduled') === 'False')
  expect(pending.status?.phase).toBe('Pending')
  await cluster.kubectl('label', 'node', 'sandbox', 'disk=ssd')
  await untilPod('choosy', isReady)
})
