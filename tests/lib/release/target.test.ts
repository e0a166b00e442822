import { describe, expect, test } from 'bun:test'
import { chooseTarget, type Wish } from '../../../lib/release/target.ts'
import type { Cluster } from '../cluster.ts'
import { APP, SITE, deployment, image, live, made, service, waiting } from '../objects.ts'
import { lastSwitch, rehearse, running } from '../world.ts'

const blue = { color: 'blue', ...made('1.0.0') }

/** Blue has so many pods, and so many of them are not ready. */
function blueHas(cluster: Cluster, pods: number, unfit: number): void {
  cluster.podStatus = (pod) => (Number(pod.split('.').at(-1)) < unfit ? waiting('Pending') : fit())
  cluster.put(deployment('blue', made('1.0.0'), pods))
}

const fit = () => ({ phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] })

const stray = (cluster: Cluster): unknown =>
  cluster.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'debug', labels: live('blue') },
    status: fit(),
  })

/** 1.1.0 is live in green with two pods, 1.0.0 waits in blue with two. */
const cases: { name: string; given: (cluster: Cluster) => unknown; wish?: Wish; target: object | RegExp }[] =
  [
    {
      name: 'one pod of three that is not ready keeps nobody where they are',
      given: (cluster) => {
        lastSwitch(cluster, { from: { ...blue, ready: 3 } })
        blueHas(cluster, 3, 1)
      },
      target: { kind: 'warm', enough: 3, short: '2 of 3 pods ready' },
    },
    {
      name: 'nor do two of three',
      given: (cluster) => blueHas(cluster, 3, 2),
      target: { kind: 'warm', enough: 2, short: '1 of 2 pods ready' },
    },
    {
      name: 'as many as it was left with are enough, however many serve now',
      given: (cluster) => {
        lastSwitch(cluster, { from: { ...blue, ready: 2 } })
        cluster.put(deployment('green', made('1.1.0'), 9))
      },
      target: { kind: 'warm', enough: 2 },
    },
    {
      name: 'a live color of which nothing is ready is left for one pod',
      given: (cluster) => {
        blueHas(cluster, 1, 0)
        cluster.podStatus = () => waiting('CrashLoopBackOff')
        cluster.put(deployment('green', made('1.1.0'), 5))
      },
      target: { kind: 'warm', enough: 1 },
    },
    {
      name: 'pods that were never asked for are started first',
      given: (cluster) => {
        lastSwitch(cluster, { from: { ...blue, ready: 3 } })
        blueHas(cluster, 1, 0)
      },
      target: { kind: 'scale', enough: 3, missing: '1 of 3 pods ready' },
    },
    {
      name: 'unless a person says: this instant',
      given: (cluster) => {
        lastSwitch(cluster, { from: { ...blue, ready: 3 } })
        blueHas(cluster, 1, 0)
      },
      wish: { now: true },
      target: { kind: 'warm', enough: 1 },
    },
    {
      name: 'this instant, and nothing is ready: the first pod that can be',
      given: (cluster) => blueHas(cluster, 3, 3),
      wish: { now: true },
      target: { kind: 'scale', enough: 1, missing: 'no pod of blue is ready; 0 of 1 pods ready' },
    },
    {
      name: 'a stray behind its labels keeps users from it',
      given: stray,
      target: {
        kind: 'scale',
        missing: "debug carry blue's labels but do not belong to Deployment chat-blue",
      },
    },
    {
      name: 'but not where a person answers for it',
      given: stray,
      wish: { now: true },
      target: { kind: 'warm' },
    },
    {
      name: 'a live color that was overwritten is left all the same',
      given: (cluster) => cluster.put(deployment('green', made('1.2.0'))),
      target: { kind: 'warm', from: 'green', to: 'blue', release: made('1.0.0') },
    },
    {
      name: 'so is one whose image was set by hand',
      given: (cluster) => {
        const { spec } = cluster.object('Deployment', `${APP}-green`)
        const containers = [{ name: 'app', image: image('f') }]
        Object.assign(spec ?? {}, { template: { metadata: {}, spec: { containers } } })
      },
      target: { kind: 'warm', from: 'green', to: 'blue', release: made('1.0.0') },
    },
    {
      name: 'while both are selected, the one that was coming is left',
      given: (cluster) => {
        lastSwitch(cluster, { overlap: true })
        cluster.object('Service', APP).spec = { selector: { app: APP } }
      },
      target: { kind: 'warm', from: 'green', to: 'blue', release: made('1.0.0'), enough: 1 },
    },
    {
      name: 'a release of ours in the other color that users have not been on is no way back, and is named',
      given: (cluster) => {
        lastSwitch(cluster, { from: undefined })
        cluster.put(deployment('blue', made('1.2.0')))
      },
      target:
        /^There is nothing to roll chat back to: no earlier switch is known, and blue holds 1\.2\.0, which users have not been on$/,
    },
    {
      name: 'nor is what nobody knows',
      given: (cluster) => {
        lastSwitch(cluster, { from: undefined })
        delete cluster.object('Deployment', `${APP}-blue`).metadata.annotations
      },
      target: /and blue holds a Deployment that these scripts did not make$/,
    },
    {
      name: 'nor an empty color',
      given: (cluster) => {
        lastSwitch(cluster, { from: undefined })
        cluster.objects.delete(`Deployment/${APP}-blue`)
      },
      target: /and blue is empty$/,
    },
    {
      name: 'a version that is there, and that users have not been on, is searched for among the records',
      given: (cluster) => cluster.put(deployment('blue', made('1.2.0'))),
      wish: { version: '1.2.0' },
      target: { kind: 'search', version: '1.2.0' },
    },
    {
      name: 'a Service that selects no color says nothing',
      given: (cluster) => cluster.put({ ...service(APP), spec: { selector: { app: APP, color: 'red' } } }),
      target: /selects \{"app":"chat","color":"red"\}/,
    },
  ]

describe('where a rollback leads (S9)', () => {
  test.each(cases)('$name', async ({ given, wish, target }) => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
    lastSwitch(rehearsal.cluster)
    given(rehearsal.cluster)
    const observed = await rehearsal.observed()
    if (target instanceof RegExp) expect(() => chooseTarget(SITE, observed, wish)).toThrow(target)
    else expect(chooseTarget(SITE, observed, wish)).toMatchObject(target)
  })
})
