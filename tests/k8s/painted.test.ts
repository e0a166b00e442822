import { describe, expect, test } from 'bun:test'
import {
  container,
  digest,
  environments,
  names,
  only,
  paint,
  podTemplate,
  render,
  renderBelow,
} from './render.ts'

const app = { app: 'chatbot-platform' }

const settings = {
  development: { namespace: 'chatbot-platform-dev', replicas: 1, bounds: [1, 2], logLevel: 'debug' },
  staging: { namespace: 'chatbot-platform-staging', replicas: 2, bounds: [2, 4], logLevel: 'info' },
  production: { namespace: 'chatbot-platform-prod', replicas: 3, bounds: [3, 12], logLevel: 'info' },
}

describe.each(environments)('%s painted', (environment) => {
  test.each(['blue', 'green'])(
    '%s: every name and every reference inside the color has the suffix',
    async (color) => {
      const painted = await renderBelow(`${environment}/painted`, paint(color))
      expect(names(painted)).toEqual([
        `ConfigMap/chatbot-platform-config-${color}`,
        `Deployment/chatbot-platform-${color}`,
        `HorizontalPodAutoscaler/chatbot-platform-${color}`,
      ])
      const deployment = only(painted, 'Deployment')
      expect(container(deployment).envFrom).toEqual([
        { configMapRef: { name: `chatbot-platform-config-${color}` } },
      ])
      expect(only(painted, 'HorizontalPodAutoscaler').spec?.scaleTargetRef).toMatchObject({
        kind: 'Deployment',
        name: `chatbot-platform-${color}`,
      })
      expect(painted.map(({ metadata }) => metadata.namespace)).toEqual(painted.map(() => 'rehearsal'))
    },
  )

  test.each(['blue', 'green'])('%s: selector and pods carry app and color', async (color) => {
    const deployment = only(await renderBelow(`${environment}/painted`, paint(color)), 'Deployment')
    expect(deployment.metadata.labels).toMatchObject({ ...app, color })
    expect(deployment.spec?.selector).toEqual({ matchLabels: { ...app, color } })
    expect(podTemplate(deployment).metadata.labels).toMatchObject({ ...app, color })
    expect(podTemplate(deployment).metadata.annotations).toMatchObject({
      'deploy-scripts/release': `release-${color}`,
    })
  })

  test('what both colors share keeps its name', async () => {
    const deployment = only(await renderBelow(`${environment}/painted`, paint('blue')), 'Deployment')
    expect(podTemplate(deployment).spec.serviceAccountName).toBe('chatbot-platform')
    const secrets = container(deployment).env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.name ?? [])
    expect(secrets).toEqual(['chatbot-platform-database', 'chatbot-platform-test-accounts'])
  })

  test('image by digest, replicas as told', async () => {
    const deployment = only(await renderBelow(`${environment}/painted`, paint('blue')), 'Deployment')
    expect(container(deployment).image).toBe(`registry.example/team/chat@${digest}`)
    expect(deployment.spec?.replicas).toBe(7)
  })
})

describe.each(environments)('%s unpainted (strategy: rolling)', (environment) => {
  const { namespace, replicas, bounds, logLevel } = settings[environment]

  test('no suffix, no color', async () => {
    const unpainted = await render(`overlays/${environment}/painted`)
    expect(names(unpainted)).toEqual([
      'ConfigMap/chatbot-platform-config',
      'Deployment/chatbot-platform',
      'HorizontalPodAutoscaler/chatbot-platform',
    ])
    const deployment = only(unpainted, 'Deployment')
    expect(deployment.spec?.selector).toEqual({ matchLabels: app })
    expect(podTemplate(deployment).metadata.labels).not.toHaveProperty('color')
    expect(container(deployment).envFrom).toEqual([{ configMapRef: { name: 'chatbot-platform-config' } }])
  })

  test('its own namespace, capacity and log level', async () => {
    const unpainted = await render(`overlays/${environment}/painted`)
    expect(new Set(unpainted.map(({ metadata }) => metadata.namespace))).toEqual(new Set([namespace]))
    expect(only(unpainted, 'Deployment').spec?.replicas).toBe(replicas)
    const autoscaler = only(unpainted, 'HorizontalPodAutoscaler').spec
    expect([autoscaler?.minReplicas, autoscaler?.maxReplicas]).toEqual(bounds)
    expect(only(unpainted, 'ConfigMap').data?.LOG_LEVEL).toBe(logLevel)
  })
})

test.each(environments)('%s: the whole overlay is its three parts and nothing else', async (environment) => {
  const parts = await Promise.all(
    ['painted', 'shared', 'migration'].map((part) => render(`overlays/${environment}/${part}`)),
  )
  const whole = await render(`overlays/${environment}`)
  const byName = (manifests: typeof whole) => new Map(manifests.map((one) => [names([one])[0], one]))
  expect(byName(whole)).toEqual(byName(parts.flat()))
})

test('HOST is left to the app, or to the sandbox that gives each process its own address', async () => {
  const { data } = only(await render('base/painted'), 'ConfigMap')
  expect(data).toMatchObject({ PORT: '3000', METRICS_PORT: '9091' })
  expect(data).not.toHaveProperty('HOST')
})
