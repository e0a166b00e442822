import { describe, expect, test } from 'bun:test'
import { holds, placeHold, readHold, refuseHeld, releaseHold } from '../../../lib/history/hold.ts'
import { statusLines, statusOf } from '../../../lib/release/status.ts'
import { APP } from '../objects.ts'
import { failure, rehearse, running } from '../world.ts'

const hold = { by: 'bob@desk', since: '2026-11-23T07:00:00.000000Z', reason: 'the fair is on' }
const now = Date.parse('2026-11-23T08:00:00Z')

const refusing = async (held: Parameters<typeof refuseHeld>[0]) =>
  await failure(Promise.try(refuseHeld, held, now, { app: APP, name: 'production' }))

describe('a hold', () => {
  test.each([
    ['without an end', undefined, true],
    ['that ends later', '2026-11-23T08:00:01.000Z', true],
    ['whose time has passed', '2026-11-23T08:00:00.000Z', false],
    ['whose end somebody made unreadable', 'tomorrow', true],
  ])('%s', (_, until, expected) => {
    expect(holds({ ...hold, ...(until && { until }) }, now)).toBe(expected)
  })

  test('is told by who, since when, why, until when, and how it is ended', async () => {
    expect(await refusing({ hold: { ...hold, until: '2026-11-24T08:00:00.000Z' } })).toEqual({
      code: 5,
      message:
        'chat in production is on hold by bob@desk since 2026-11-23T07:00:00Z: the fair is on, until ' +
        '2026-11-24T08:00:00Z. To release it: bun scripts/lock.ts --env production --release. ' +
        'A rollback is not held up',
    })
    expect(await refusing({ hold: { ...hold, until: '2026-11-23T07:30:00.000Z' } })).toMatchObject({
      code: 0,
    })
    expect(await refusing({})).toMatchObject({ code: 0 })
  })

  test('is placed, placed again by somebody else, seen in the one reading, and released', async () => {
    await using rehearsal = rehearse()
    const { world } = rehearsal
    running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
    expect(await readHold(world)).toBeUndefined()
    await placeHold(world, 'the fair is on', now + 60_000)
    await placeHold({ ...world, by: 'bob@desk' }, 'and it goes on', undefined)
    const expected = { by: 'bob@desk', since: '2026-11-23T08:00:00.000000Z', reason: 'and it goes on' }
    expect(await readHold(world)).toEqual(expected)
    const asked = rehearsal.cluster.asked.length
    expect((await rehearsal.observed()).hold).toEqual(expected)
    expect(rehearsal.cluster.asked).toHaveLength(asked + 1)
    await releaseHold(world)
    expect(await readHold(world)).toBeUndefined()
    expect((await rehearsal.observed()).hold).toBeUndefined()
    await placeHold(world, 'once more', undefined)
    expect(await readHold(world)).toMatchObject({ by: 'alice@laptop', reason: 'once more' })
  })

  test('is shown by the status until its time has passed', async () => {
    await using rehearsal = rehearse()
    const { world, clock, cluster } = rehearsal
    running(cluster, { blue: '1.0.0' }, 'blue')
    await placeHold(world, 'the fair is on', now + 60_000)
    const observed = await rehearsal.observed()
    const held = () => {
      const status = statusOf(world.environment, observed, [], clock.now())
      return statusLines(status, observed).find((line) => line.startsWith('hold'))
    }
    expect(held()).toBe(
      'hold      no deployments, by alice@laptop since 2026-11-23T08:00:00Z: the fair is on, until 2026-11-23T08:01:00Z',
    )
    await clock.sleep(60_000)
    expect(held()).toBeUndefined()
  })
})
