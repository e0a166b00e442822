import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { observe } from '../../../lib/app/observe.ts'
import { history } from '../../../lib/history/store.ts'
import { chooseTarget } from '../../../lib/release/target.ts'
import { drill, drillTarget } from '../../../lib/release/drill.ts'
import { judgeDrill } from '../../../lib/preflight/surroundings.ts'
import { UNREACHABLE } from '../cluster.ts'
import { SITE, deployment, live, made } from '../objects.ts'
import { failure, gates, lastSwitch, rehearse, running, type Rehearsal } from '../world.ts'
import { recordOf } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

/** 1.1.0 is live in green, 1.0.0 waits in blue. */
async function afterDeployment(rehearsal: Rehearsal): Promise<void> {
  running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  lastSwitch(rehearsal.cluster, {})
  await recordOf(rehearsal, '1.1.0')
  await recordOf(rehearsal, '1.0.0')
}

test('there and back: users are where they were, and nothing is refused that was not before', async () => {
  await using rehearsal = rehearse()
  await afterDeployment(rehearsal)
  const { world, cluster, clock } = rehearsal
  const records = await drill(world, await rehearsal.observed(), undefined, gates())
  expect(records.map(({ to, outcome, drill: is }) => [to.version, outcome, is])).toEqual([
    ['1.0.0', 'succeeded', true],
    ['1.1.0', 'succeeded', true],
  ])
  expect(cluster.selector()).toEqual(live('green'))
  const past = await history(world)
  expect(past.filter(({ outcome }) => outcome !== 'succeeded')).toEqual([])
  // A rollback that somebody needs is as near as before.
  expect(chooseTarget(SITE, await rehearsal.observed())).toMatchObject({ kind: 'warm', to: 'blue' })
  expect(judgeDrill(past, clock.now(), 60_000, 'test').verdict).toBe('passed')
})

test('killed in the middle, users are one rollback away from where they were', async () => {
  await using rehearsal = rehearse()
  await afterDeployment(rehearsal)
  const { world, cluster } = rehearsal
  let patches = 0
  cluster.intercept = (_line, write) => {
    if (write !== 'patch service chat' || ++patches === 1) return undefined
    rehearsal.interrupt()
    return UNREACHABLE
  }
  expect((await failure(drill(world, await rehearsal.observed(), undefined, gates()))).code).not.toBe(0)
  cluster.intercept = () => undefined
  expect(cluster.selector()).toEqual(live('blue'))
  expect(chooseTarget(SITE, await observe('chat', world.kubectl.unstoppable()))).toMatchObject({
    to: 'green',
    release: { version: '1.1.0' },
  })
})

describe('nothing moves', () => {
  const cases: [says: RegExp, code: number, prepare: (rehearsal: Rehearsal) => unknown][] = [
    [
      /A drill waits for nobody and stops nobody: .*bob/,
      5,
      ({ cluster }) =>
        cluster.put({
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: 'chat-deploy', labels: { app: 'chat' } },
          spec: { holderIdentity: 'bob', leaseDurationSeconds: 15, renewTime: '2026-11-23T08:00:00.000000Z' },
        }),
    ],
    [
      /is not in the other color any more/,
      1,
      ({ cluster }) => cluster.put(deployment('blue', made('1.2.0'))),
    ],
    [/is what was rolled back from/, 6, ({ cluster }) => lastSwitch(cluster, { kind: 'rollback' })],
  ]
  test.each(cases)('%s', async (says, code, prepare) => {
    await using rehearsal = rehearse()
    await afterDeployment(rehearsal)
    await prepare(rehearsal)
    rehearsal.cluster.writes.length = 0
    const observed = await rehearsal.observed()
    const found = await failure(
      Promise.try(() => drillTarget(rehearsal.world, observed, rehearsal.clock.now())),
    )
    expect(found).toEqual({ code, message: expect.stringMatching(says) })
    expect((await failure(drill(rehearsal.world, observed, undefined, gates()))).code).toBe(code)
    expect(rehearsal.cluster.writes).toEqual([])
  })
})
