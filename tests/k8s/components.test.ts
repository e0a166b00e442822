/** The optional parts, put below a color as the scripts would. */
import { describe, expect, test } from 'bun:test'
import { container, only, paint, podTemplate, render, renderBelow } from './render.ts'

const blue = { app: 'chatbot-platform', color: 'blue' }

describe('below painted', () => {
  test('pod-disruption-budget: one for each color', async () => {
    const painted = await renderBelow('production/painted', paint('blue'), ['pod-disruption-budget'])
    const budget = only(painted, 'PodDisruptionBudget')
    expect(budget.metadata.name).toBe('chatbot-platform-blue')
    expect(budget.spec?.selector).toEqual({ matchLabels: blue })
    expect(budget.spec).toMatchObject({ maxUnavailable: 1 })
  })

  test("hpa-v2: takes the place of v1 and keeps the overlay's bounds", async () => {
    const painted = await renderBelow('production/painted', paint('blue'), ['hpa-v2'])
    const autoscaler = only(painted, 'HorizontalPodAutoscaler')
    expect(autoscaler.apiVersion).toBe('autoscaling/v2')
    expect(autoscaler.metadata.name).toBe('chatbot-platform-blue')
    expect(autoscaler.spec).toMatchObject({
      minReplicas: 3,
      maxReplicas: 12,
      scaleTargetRef: { name: 'chatbot-platform-blue' },
    })
    expect(autoscaler.spec).not.toHaveProperty('targetCPUUtilizationPercentage')
    expect(autoscaler.spec?.metrics?.map(({ resource }) => resource.name)).toEqual(['cpu', 'memory'])
  })

  test('topology-spread: spreads the pods of its own color', async () => {
    const painted = await renderBelow('production/painted', paint('blue'), ['topology-spread'])
    const constraints = podTemplate(only(painted, 'Deployment')).spec.topologySpreadConstraints
    expect(constraints?.map(({ labelSelector }) => labelSelector.matchLabels)).toEqual([blue, blue])
  })
})

describe('shared-database: the Secret is required, and only the Job migrates', () => {
  test.each([
    { part: 'painted', kind: 'Deployment' },
    { part: 'migration', kind: 'Job' },
  ])('$kind', async ({ part, kind }) => {
    const manifests = await renderBelow(`production/${part}`, {}, ['shared-database'])
    const database = container(only(manifests, kind)).env.find(({ name }) => name === 'DATABASE_URL')
    expect(database?.valueFrom?.secretKeyRef?.optional).toBe(false)
    expect(only(manifests, 'ConfigMap').data).not.toHaveProperty('DATABASE_URL')
  })

  test('pods leave the schema alone', async () => {
    const alone = only(await render('overlays/production/painted'), 'ConfigMap')
    expect(alone.data?.MIGRATE_ON_START).toBe('true')
    const shared = await renderBelow('production/painted', {}, ['shared-database'])
    expect(only(shared, 'ConfigMap').data?.MIGRATE_ON_START).toBe('false')
  })
})

describe('below shared', () => {
  test('node-port: both Services, on ports that the cluster chooses', async () => {
    const shared = await renderBelow('production/shared', {}, ['node-port'])
    const services = shared.filter(({ kind }) => kind === 'Service')
    expect(services.map(({ spec }) => spec?.type)).toEqual(['NodePort', 'NodePort'])
    expect(services.flatMap(({ spec }) => spec?.ports?.map(({ nodePort }) => nodePort))).toEqual([
      undefined,
      undefined,
    ])
  })

  test('ingress: the live Service, never the preview', async () => {
    const ingress = only(await renderBelow('production/shared', {}, ['ingress']), 'Ingress')
    const backends = [...JSON.stringify(ingress.spec).matchAll(/"service":\{"name":"([^"]+)"/g)]
    expect(backends.map(([, name]) => name)).toEqual(['chatbot-platform'])
  })
})
