import { expect, test } from 'bun:test'
import { observe } from '../../../lib/app/observe.ts'
import { meter } from '../../../lib/monitor/measured.ts'
import { refused } from '../cluster.ts'
import { APP } from '../objects.ts'
import { rehearse, running } from '../world.ts'

const items = [
  ['chat-green.1.0', '250m', '64Mi'],
  ['chat-green.1.1', '750000000n', '128Mi'],
  ['somebody-else', '8', '8Gi'],
].map(([name, cpu, memory]) => ({ metadata: { name }, containers: [{ usage: { cpu, memory } }] }))

test.each<[string, string, { cpu: object; memory: object }]>([
  [
    'of a color that has pods',
    JSON.stringify({ items }),
    { cpu: { green: 1 }, memory: { green: 128 * 2 ** 20 } },
  ],
  ['unknown without a metrics server', '', { cpu: {}, memory: {} }],
  ['unknown where it says something else', '{"items":[{}]}', { cpu: {}, memory: {} }],
])('what pods take is told by the cluster where the app does not say it: %s', async (_, says, values) => {
  await using rehearsal = rehearse()
  const { cluster, world } = rehearsal
  running(cluster, { green: '1.1.0' }, 'green')
  cluster.intercept = (line) =>
    line.includes('metrics.k8s.io') && says !== ''
      ? { stdout: says, stderr: '', exitCode: 0 }
      : line.includes('--raw=')
        ? refused('Error from server (NotFound): the server could not find the requested resource')
        : undefined
  const measured = await meter(world)(await observe(APP, world.kubectl))
  const { cpu, memory } = measured.values
  expect({ cpu, memory }).toEqual(values)
  expect(measured.values).toMatchObject({ ready: { blue: 0, green: 2 } })
  expect(cluster.asked).toContain(
    'get --raw=/apis/metrics.k8s.io/v1beta1/namespaces/chat-test/pods?labelSelector=app%3Dchat',
  )
})
