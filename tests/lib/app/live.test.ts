import { describe, expect, test } from 'bun:test'
import { strangers } from '../../../lib/app/live.ts'
import { APP, deployment, live, made, ready } from '../objects.ts'
import { rehearse, running } from '../world.ts'

const pod = (labels: Record<string, string>, more: object = {}, status: object = ready()) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'debug', labels: { app: APP, ...labels }, ...more },
  status: { ...status },
})

describe('strangers: whom an overlap, which selects every pod of the app, would send users to', () => {
  test('the pods of both colors are none', async () => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    expect(strangers(await rehearsal.observed())).toEqual([])
  })

  test.each([
    ['a debug copy without a color', pod({}), ['debug']],
    ['one with a color, that its Deployment does not own', pod(live('green')), ['debug']],
    ['one that is not ready yet, as it may be in a moment', pod({}, {}, { phase: 'Pending' }), ['debug']],
    ['one that has ended', pod({}, {}, { phase: 'Succeeded' }), []],
    ['one that is being deleted', pod({}, { deletionTimestamp: '2026-11-23T08:00:00Z' }), []],
  ])('%s', async (_, stray, expected) => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    rehearsal.cluster.put(stray)
    expect(strangers(await rehearsal.observed())).toEqual(expected)
  })

  test('what ran before there were colors', async () => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
    rehearsal.cluster.put(deployment('plain', made('0.9.0'), 1))
    expect(strangers(await rehearsal.observed())).toEqual([`${APP}.1.0`])
  })
})
