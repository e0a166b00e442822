import { describe, expect, test } from 'bun:test'
import type { Color } from '../../../lib/app/color.ts'
import { losses, proofOf, untilNobodyOn, watchLive } from '../../../lib/traffic/proof.ts'
import type { Sample } from '../../../lib/traffic/witness.ts'
import { rehearse } from '../world.ts'

const sample = (
  done: number,
  color?: Color,
  failure?: string,
  connection: Sample['connection'] = 'new',
): Sample => ({
  due: done,
  done,
  connection,
  ...(connection === 'kept' && { client: 0 }),
  ...(color && { color }),
  ...(failure && { failure }),
})

describe('losses', () => {
  const moved = { patchedAt: 1000, converged: 100 }
  const good = [sample(900, 'blue'), sample(1050, 'blue'), sample(1200, 'green')]
  test.each<[string, Sample[], number, string | undefined]>([
    ['nobody lost', good, 0, undefined],
    ['no samples at all prove nothing', [], 0, 'the witness got no answer at all, so nothing is proven'],
    [
      'nor do samples from before',
      [sample(900, 'blue')],
      0,
      'the witness got no answer at all, so nothing is proven',
    ],
    [
      'one lost',
      [...good, sample(1300, undefined, 'status 502')],
      0,
      '1 of 3 requests failed (1 × status 502)',
    ],
    ['one lost, one allowed', [...good, sample(1300, undefined, 'status 502')], 1, undefined],
    [
      'old failures are not held against the new color, so long as it answers alone',
      [sample(900, undefined, 'status 500'), sample(1050, undefined, 'status 500'), sample(1200, 'green')],
      0,
      undefined,
    ],
    [
      'but its own are',
      [sample(900, undefined, 'status 500'), sample(1200, undefined, 'status 500')],
      0,
      '1 of 1 requests failed (1 × status 500)',
    ],
    [
      'nor what it answers to those who stay on it with a connection that they keep',
      [
        sample(900, undefined, 'status 500'),
        sample(1150, 'blue', undefined, 'kept'),
        sample(1200, 'green'),
        sample(1250, undefined, 'status 500', 'kept'),
      ],
      0,
      undefined,
    ],
  ])('%s', (_, samples, allowed, expected) => expect(losses(moved, samples, 'green', allowed)).toBe(expected))

  test('what a failing color answers while a balancer follows is not held against the new one either', () => {
    const failing = (done: number) => sample(done, undefined, 'status 500')
    const samples = [failing(900), failing(5000), sample(17_000, 'green')]
    const reached = { converged: true, ms: 16_000, first: 15_000, since: 15_000 }
    expect(losses({ ...moved, reached }, samples, 'green', 0)).toBeUndefined()
  })

  test('what a record keeps of it', () => {
    expect(proofOf(moved, [...good, sample(1100, 'blue', undefined, 'kept')], 'green')).toEqual({
      converged: 100,
      requests: 3,
      failures: 0,
      failuresBefore: 0,
      onNewConnections: 2,
      onKeptConnections: 1,
      firstNew: 200,
      lastOld: 100,
      lastOldOnNew: 50,
      lastOldOnKept: 100,
      series: {
        from: -100,
        every: 100,
        blue: [1, 1, 1, 0],
        green: [0, 0, 0, 1],
        unnamed: [0, 0, 0, 0],
        failed: [0, 0, 0, 0],
      },
    })
    expect(proofOf(moved, good, 'green', 7)).toMatchObject({ skipped: 7 })
  })
})

describe('losses of going back: what the color that is left answers never counts (S9)', () => {
  const moved = { patchedAt: 1000, converged: 100 }
  const error = (done: number, more: Partial<Sample> = {}): Sample => ({
    ...sample(done, undefined, 'status 500'),
    ...more,
  })
  const reset = (done: number): Sample => sample(done, undefined, 'ECONNRESET')
  const green = [sample(1200, 'green')]
  const keptOn = (color: Color): Sample[] => [
    sample(1150, color, undefined, 'kept'),
    sample(1300, undefined, 'status 500', 'kept'),
  ]
  test.each<[string, Sample[], string | undefined]>([
    ['nobody was asked: nothing is said', [], undefined],
    ['error pages without a color before convergence', [error(1000), error(1050), ...green], undefined],
    [
      'what names the color that is left, whenever',
      [error(1050, { color: 'blue' }), error(1300, { color: 'blue' }), ...green],
      undefined,
    ],
    [
      'a connection that was opened before convergence',
      [error(1300, { due: 1099 }), reset(1050), ...green],
      undefined,
    ],
    ['one that is kept with the color which is left', [...keptOn('blue'), ...green], undefined],
    [
      'one that is kept with nobody knows whom',
      [sample(1300, undefined, 'status 500', 'kept'), ...green],
      undefined,
    ],
    [
      'a refusal (404) that the color which is left did not make',
      [sample(900, 'blue'), { ...sample(1300), status: 404 }],
      undefined,
    ],
    [
      'an error of the color that is entered, from its first answer',
      [error(1050, { color: 'green' })],
      '1 of 1 requests failed (1 × status 500)',
    ],
    [
      'an error on a new connection after convergence',
      [...green, error(1300)],
      '1 of 2 requests failed (1 × status 500)',
    ],
    ['no answer there', [...green, reset(1300)], '1 of 2 requests failed (1 × ECONNRESET)'],
    [
      'an error on a connection that is kept with it',
      keptOn('green'),
      '1 of 2 requests failed (1 × status 500)',
    ],
  ])('%s', (_, samples, expected) =>
    expect(losses(moved, samples, 'green', 0, { leaving: true })).toBe(expected),
  )

  test('convergence is when new connections had followed, not only the endpoints', () => {
    const samples = [error(5000), ...green, sample(17_000, 'green')]
    const reached = { converged: true, ms: 16_000, first: 100, since: 15_000 }
    expect(losses({ ...moved, reached }, samples, 'green', 0, { leaving: true })).toBeUndefined()
    expect(losses(moved, samples, 'green', 0, { leaving: true })).toMatch(/^1 of /)
    const never = { converged: false, ms: 60_000 }
    expect(losses({ ...moved, reached: never }, samples, 'green', 0, { leaving: true })).toBeUndefined()
  })

  test('as many as are allowed', () => {
    expect(losses(moved, [error(1300)], 'green', 1, { leaving: true })).toBeUndefined()
  })
})

const answers = (color: () => string) => () => Response.json({ color: color() })

describe('untilNobodyOn', () => {
  test('resolves once every kept connection has met another color, with the last answer of the one that was left', async () => {
    await using rehearsal = rehearse()
    const { world, app, clock } = rehearsal
    let color = 'green'
    app.answer = answers(() => color)
    const witness = await watchLive(world)
    await Promise.all([clock.sleep(500), witness.next()])
    const since = clock.monotonic()
    clock.during.set(100, () => void (clock.monotonic() - since >= 700 && (color = 'blue')))
    const last = await untilNobodyOn(world, witness, { color: 'green', since }, 10_000)
    await witness.stop()
    expect(last).toBeGreaterThan(0)
    expect(last).toBeLessThan(2000)
    const after = witness.samples.filter(({ done }) => done - since > (last ?? 0))
    expect(after.some((sample) => sample.connection === 'kept' && sample.color === 'blue')).toBe(true)
    expect(after.every((sample) => sample.color === 'blue')).toBe(true)
  })

  test('nobody met it any more: 0', async () => {
    await using rehearsal = rehearse()
    const { world, app, clock } = rehearsal
    app.answer = answers(() => 'blue')
    const witness = await watchLive(world)
    expect(await untilNobodyOn(world, witness, { color: 'green', since: clock.monotonic() }, 10_000)).toBe(0)
    await witness.stop()
  })

  test('somebody is on it still when the time is over: undefined', async () => {
    await using rehearsal = rehearse()
    const { world, app, clock } = rehearsal
    app.answer = answers(() => 'green')
    const witness = await watchLive(world)
    const since = clock.monotonic()
    expect(await untilNobodyOn(world, witness, { color: 'green', since }, 3000)).toBeUndefined()
    expect(clock.monotonic() - since).toBe(3000)
    await witness.stop()
  })

  test('an application that names no color: nobody can tell, and nobody waits', async () => {
    await using rehearsal = rehearse()
    const { world } = rehearsal
    const witness = { ...world.environment.witness, color: undefined }
    const watching = await watchLive(world)
    const nameless = { ...world, environment: { ...world.environment, witness } }
    expect(await untilNobodyOn(nameless, watching, { color: 'green', since: 0 }, 3000)).toBeUndefined()
    await watching.stop()
  })
})
