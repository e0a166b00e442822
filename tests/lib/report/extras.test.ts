import { describe, expect, test } from 'bun:test'
import { extrasOf, oddsToStop } from '../../../lib/report/extras.ts'

const bake = {
  startedAt: '2026-11-28T10:00:00.000Z',
  until: '2026-11-28T10:10:00.000Z',
  limits: { failed: 0.005, slow: 0.05 },
  verdict: 'passed',
  readings: [
    {
      at: '2026-11-28T10:00:15.000Z',
      counts: { failed: { new: [1, 300] } },
      odds: { failed: 0.8 },
      gauges: { cpu: 1 },
    },
  ],
}

describe('what a record holds beside its own fields', () => {
  test('a bake and notifications, as they were written', () => {
    const notifications = [
      { state: 'started', channel: 'slack', at: '2026-11-28T10:00:00.000Z', outcome: 'ok' },
    ]
    const found = extrasOf({ id: 'x', bake, notifications })
    expect(found.bake?.readings[0]?.counts).toMatchObject({ failed: { new: [1, 300] } })
    expect(found.notifications).toEqual(notifications)
  })

  test('a bake that names the colors live and old, and says why a limit is what it is', () => {
    const limits = { errors: { share: 0.005, why: '2 × 0.21 %' } }
    const readings = [
      { at: 'x', ms: 1, covers: 1, counts: { errors: { live: [2, 9], old: [0, 4] } }, odds: { errors: 3 } },
    ]
    const found = extrasOf({
      bake: { ...bake, limits, readings, verdict: 'superseded', latest: 'y', source: 'z' },
    })
    expect(found.bake).toMatchObject({ limits: { errors: 0.005 }, verdict: 'superseded' })
    expect(found.bake?.readings[0]?.counts).toEqual({ errors: { new: [2, 9], old: [0, 4] } })
  })

  test.each([[undefined], [null], [7], ['text'], [[]], [{}]])('%j holds none', (record: unknown) =>
    expect(extrasOf(record)).toMatchObject({ notifications: [] }),
  )

  test.each([{ ...bake, verdict: 'splendid' }, { ...bake, readings: [{ at: 1 }] }, 'x', { limits: {} }])(
    'one of another form takes nothing else along: %#',
    (odd) => {
      const notifications = [{ state: 's', channel: 'c', at: 'a', outcome: 'o' }]
      expect(extrasOf({ bake: odd, notifications })).toEqual({
        bake: undefined,
        notifications,
        acknowledged: [],
      })
      expect(extrasOf({ bake, notifications: [{}] }).bake).toBeDefined()
    },
  )

  test('the odds that stop it: a hundred for each indicator that bets', () => {
    const { bake: parsed } = extrasOf({ bake })
    expect(parsed && oddsToStop(parsed)).toBe(200)
    const unlimited = extrasOf({ bake: { ...bake, limits: {} } }).bake
    expect(unlimited && oddsToStop(unlimited)).toBe(100)
  })
})
