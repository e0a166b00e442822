import { describe, expect, test } from 'bun:test'
import { environments, names, only, podTemplate, render, renderBelow } from './render.ts'

describe.each(environments)('%s shared', (environment) => {
  test('is what both colors use', async () => {
    expect(names(await render(`overlays/${environment}/shared`))).toEqual([
      'NetworkPolicy/chatbot-platform',
      'Service/chatbot-platform',
      'Service/chatbot-platform-preview',
      'ServiceAccount/chatbot-platform',
    ])
  })

  test.each([[], ['node-port'], ['ingress']])('Services have no selector (%s)', async (...components) => {
    const manifests = await renderBelow(`${environment}/shared`, { namespace: 'rehearsal' }, components)
    const services = manifests.filter(({ kind }) => kind === 'Service')
    expect(services).toHaveLength(2)
    for (const { spec } of services) {
      expect(spec).not.toHaveProperty('selector')
      expect(spec?.ports).toEqual([{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' }])
    }
  })

  test('the NetworkPolicy covers the pods of both colors and of the migration', async () => {
    const policy = only(await render(`overlays/${environment}/shared`), 'NetworkPolicy')
    const selected = policy.spec?.podSelector?.matchLabels ?? {}
    expect(Object.keys(selected)).toHaveLength(1)
    const deployment = only(await render(`overlays/${environment}/painted`), 'Deployment')
    const job = only(await render(`overlays/${environment}/migration`), 'Job')
    expect(podTemplate(deployment).metadata.labels).toMatchObject(selected)
    expect(podTemplate(job).metadata.labels).toMatchObject(selected)
  })

  test('the NetworkPolicy lets in http from anywhere and metrics from monitoring, out DNS, database, https', async () => {
    const { spec } = only(await render(`overlays/${environment}/shared`), 'NetworkPolicy')
    expect(spec?.policyTypes).toEqual(['Ingress', 'Egress'])
    expect(spec?.ingress).toEqual([
      { ports: [{ port: 3000, protocol: 'TCP' }] },
      {
        from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
        ports: [{ port: 9091, protocol: 'TCP' }],
      },
    ])
    expect(spec?.egress).toEqual([
      {
        ports: [
          { port: 53, protocol: 'UDP' },
          { port: 53, protocol: 'TCP' },
        ],
      },
      {
        ports: [
          { port: 5432, protocol: 'TCP' },
          { port: 443, protocol: 'TCP' },
        ],
      },
    ])
  })
})

test.each(environments)(
  '%s: the three parts are in one namespace, which setup creates',
  async (environment) => {
    const whole = await render(`overlays/${environment}`)
    const setup = await render(`overlays/${environment}/setup`)
    const { name } = only(setup, 'Namespace').metadata
    const others = [...whole, ...setup].filter(({ kind }) => kind !== 'Namespace')
    expect(new Set(others.map(({ metadata }) => metadata.namespace))).toEqual(new Set([name]))
  },
)
