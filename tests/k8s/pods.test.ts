/** What every pod of the app must have, in every environment. */
import { describe, expect, test } from 'bun:test'
import { container, environments, only, podTemplate, render, renderBelow, type Probe } from './render.ts'

const pods = environments.flatMap((environment) => [
  { environment, part: 'painted', kind: 'Deployment' },
  { environment, part: 'migration', kind: 'Job' },
])

describe.each(pods)('$environment $kind', ({ environment, part, kind }) => {
  test('keeps the restricted Pod Security profile', async () => {
    const workload = only(await render(`overlays/${environment}/${part}`), kind)
    expect(podTemplate(workload).spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 10001,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(container(workload).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(podTemplate(workload).spec.automountServiceAccountToken).toBe(false)
  })

  test('has requests and limits', async () => {
    const { resources } = container(only(await render(`overlays/${environment}/${part}`), kind))
    const quantity = expect.stringMatching(/^\d+(m|Mi)?$/)
    expect(resources).toEqual({
      requests: { cpu: quantity, memory: quantity },
      limits: { cpu: quantity, memory: quantity },
    })
  })

  test('can write to /tmp and /data, although the root is read-only', async () => {
    const workload = only(await render(`overlays/${environment}/${part}`), kind)
    const { volumes } = podTemplate(workload).spec
    const writable = container(workload).volumeMounts.filter(({ name }) =>
      volumes.some((volume) => volume.name === name && volume.emptyDir),
    )
    expect(writable.map(({ mountPath }) => mountPath)).toEqual(['/tmp', '/data'])
  })

  test('names no tag, so that only painting decides what runs', async () => {
    expect(container(only(await render(`overlays/${environment}/${part}`), kind)).image).toBe(
      'chatbot-platform',
    )
  })

  test('takes the database from the optional Secret, else from its ConfigMap', async () => {
    const manifests = await render(`overlays/${environment}/${part}`)
    const { env, envFrom } = container(only(manifests, kind))
    expect(env.find(({ name }) => name === 'DATABASE_URL')?.valueFrom?.secretKeyRef).toEqual({
      name: 'chatbot-platform-database',
      key: 'url',
      optional: true,
    })
    const config = only(manifests, 'ConfigMap')
    expect(envFrom).toEqual([{ configMapRef: { name: config.metadata.name } }])
    expect(config.data?.DATABASE_URL).toBe('sqlite:/data/chat.db')
  })
})

describe.each(environments)('%s Deployment', (environment) => {
  const deployment = async () => only(await render(`overlays/${environment}/painted`), 'Deployment')

  test('ports have their protocol', async () => {
    expect(container(await deployment()).ports).toEqual([
      { name: 'http', containerPort: 3000, protocol: 'TCP' },
      { name: 'metrics', containerPort: 9091, protocol: 'TCP' },
    ])
  })

  test('readiness is seen within a second; only /health can restart a pod', async () => {
    const { startupProbe, readinessProbe, livenessProbe } = container(await deployment())
    expect(readinessProbe).toMatchObject({ httpGet: { path: '/ready', port: 'http' }, periodSeconds: 1 })
    expect(startupProbe).toMatchObject({ httpGet: { path: '/health', port: 'http' }, periodSeconds: 1 })
    expect(livenessProbe).toMatchObject({ httpGet: { path: '/health', port: 'http' } })
    expect(patience(startupProbe)).toBeGreaterThanOrEqual(30)
    expect(patience(livenessProbe)).toBeGreaterThanOrEqual(20)
  })

  test('the dependency check of /ready (1 s) is answered before the probe gives up', async () => {
    expect(container(await deployment()).readinessProbe?.timeoutSeconds).toBeGreaterThan(1)
  })

  test('never fewer pods than wanted during a rolling restart', async () => {
    const { spec } = await deployment()
    expect(spec?.strategy?.rollingUpdate.maxUnavailable).toBe(0)
    expect(parseInt(String(spec?.strategy?.rollingUpdate.maxSurge))).toBeGreaterThan(0)
    expect(spec?.progressDeadlineSeconds).toBeGreaterThan(0)
  })

  test('the grace period covers preStop, the drain and 20 s for requests in flight', async () => {
    const manifests = await render(`overlays/${environment}/painted`)
    const workload = only(manifests, 'Deployment')
    const command = container(workload).lifecycle?.preStop?.exec.command.join(' ')
    const sleep = Number(/^bun -e await Bun\.sleep\((\d+)\)$/.exec(command ?? '')?.[1]) / 1000
    const drain = Number(only(manifests, 'ConfigMap').data?.DRAIN_SECONDS)
    expect(sleep).toBeGreaterThan(0)
    expect(drain).toBeGreaterThan(0)
    expect(podTemplate(workload).spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(
      sleep + drain + 20,
    )
  })

  test('pods know their color, release and name', async () => {
    const fields = container(await deployment()).env.flatMap(({ name, valueFrom }) =>
      valueFrom?.fieldRef ? [[name, valueFrom.fieldRef.fieldPath]] : [],
    )
    expect(fields).toEqual([
      ['APP_COLOR', "metadata.labels['color']"],
      ['APP_RELEASE', "metadata.annotations['deploy-scripts/release']"],
      ['POD_NAME', 'metadata.name'],
    ])
  })
})

describe.each(environments)('%s migration', (environment) => {
  test('runs once, fails soon, and its pods are no pods of the app', async () => {
    const job = only(await render(`overlays/${environment}/migration`), 'Job')
    expect(container(job)).toMatchObject({ command: ['bun', '/app/migrate.js'] })
    expect(podTemplate(job).spec.restartPolicy).toBe('Never')
    expect(job.spec?.backoffLimit).toBeLessThanOrEqual(2)
    expect(job.spec?.activeDeadlineSeconds).toBeGreaterThan(0)
    expect(podTemplate(job).metadata.labels.app).toBe('chatbot-platform-migrate')
  })

  test('a run with a suffix has its own Job and ConfigMap', async () => {
    const manifests = await renderBelow(`${environment}/migration`, { nameSuffix: '-01jd' })
    expect(container(only(manifests, 'Job')).envFrom).toEqual([
      { configMapRef: { name: 'chatbot-platform-migrate-config-01jd' } },
    ])
    expect(only(manifests, 'Job').metadata.name).toBe('chatbot-platform-migrate-01jd')
  })

  test('even with a color its pods do not match the overlap selector', async () => {
    const labels = [{ pairs: { color: 'blue' }, includeSelectors: true, includeTemplates: true }]
    const job = only(await renderBelow(`${environment}/migration`, { labels }), 'Job')
    expect(podTemplate(job).metadata.labels.color).toBe('blue')
    expect(podTemplate(job).metadata.labels.app).not.toBe('chatbot-platform')
    expect(job.spec).not.toHaveProperty('selector')
  })
})

/** Seconds until the kubelet acts on a probe that fails. */
function patience(probe: Probe | undefined): number {
  return probe ? probe.periodSeconds * probe.failureThreshold : Number.NaN
}
