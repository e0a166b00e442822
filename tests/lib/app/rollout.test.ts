import { expect, test } from 'bun:test'
import { retire, waitReady } from '../../../lib/app/rollout.ts'
import { APP, deployment, made, ready, waiting } from '../objects.ts'
import { failure, rehearse, running } from '../world.ts'

const container = (about: object) => ({ containerStatuses: [{ name: 'app', ...about }] })
const ended = (exitCode: number, reason = 'Error') => ({ terminated: { exitCode, reason } })

test('waitReady says what is missing as it changes, and answers with what it saw', async () => {
  await using rehearsal = rehearse()
  const { cluster, world, clock, log } = rehearsal
  cluster.podStatus = () => waiting('ContainerCreating')
  running(cluster, { blue: '1.0.0' }, 'blue')
  clock.during.set(400, () => {
    cluster.podStatus = ready
    cluster.put(deployment('blue', made('1.0.0')))
  })
  expect((await waitReady(world, 'blue', 2)).colors.blue.ready).toHaveLength(2)
  expect(log.lines).toEqual(['0 of 2 pods ready'])
})

test('waitReady fails as soon as the cluster knows', async () => {
  await using rehearsal = rehearse()
  const { cluster, world, clock } = rehearsal
  cluster.podStatus = () => waiting('InvalidImageName', "couldn't parse image")
  running(cluster, { blue: '1.0.0' }, 'blue')
  expect(await failure(waitReady(world, 'blue', 2))).toMatchObject({ code: 1 })
  expect(clock.slept).toEqual([])
})

test('scaling down is not over before the pods are gone, however late the controller is', async () => {
  await using rehearsal = rehearse({ afterSwitch: 'scale-down' })
  const { cluster, world, clock, log } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'green')
  const pods = cluster.all('Pod')
  clock.during.set(400, () => {
    for (const { metadata } of pods) cluster.objects.delete(`Pod/${metadata.name}`)
  })
  cluster.intercept = (line) => {
    // The API server has taken it; no pod has been told yet.
    if (!line.startsWith('patch deployment')) return undefined
    const changed = cluster.object('Deployment', `${APP}-blue`)
    Object.assign(changed.spec ?? {}, { replicas: 0 })
    return { stdout: JSON.stringify(changed), stderr: '', exitCode: 0 }
  }
  await retire(world, (await rehearsal.observed()).colors.blue)
  expect(cluster.all('Pod')).toEqual([])
  expect(log.lines).toEqual(['2 pods of blue are finishing'])
})

test.each([
  ['serves until its containers have ended', { running: {} }, ['1 pods of blue are finishing']],
  ['is no longer waited for, however long its object stays', ended(0, 'Completed'), []],
  [
    'and whose container the kubelet has lost is not either',
    { waiting: { reason: 'ContainerCreating' } },
    [],
  ],
])('a pod that was told to end %s', async (_, state, said) => {
  await using rehearsal = rehearse({ afterSwitch: 'recycle' })
  const { cluster, world, clock, log } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'green')
  const { metadata } = cluster.put({
    ...cluster.object('Pod', `${APP}-blue.1.0`),
    status: container({ state }),
    metadata: { name: 'old', labels: { app: APP, color: 'blue' }, deletionTimestamp: '2026-11-23T08:00:00Z' },
  })
  clock.during.set(400, () => void cluster.objects.delete(`Pod/${metadata.name}`))
  await retire(world, (await rehearsal.observed()).colors.blue)
  expect(log.lines).toEqual(said)
})
