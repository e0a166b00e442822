import { describe, expect, test } from 'bun:test'
import type { Color } from '../../../lib/app/color.ts'
import { bothServe, sharedLosses, sharedProof, untilMet } from '../../../lib/traffic/shared.ts'
import type { Sample, Witness } from '../../../lib/traffic/witness.ts'
import { APP, service } from '../objects.ts'
import { failure, rehearse, running } from '../world.ts'

const sample = (done: number, color?: Color, failed = false, kept = false): Sample => ({
  due: done,
  done,
  connection: kept ? 'kept' : 'new',
  ...(kept && { client: 0 }),
  ...(color && { color }),
  ...(failed && { failure: 'status 500' }),
})

const since = { patchedAt: 1000 }
const lost = (samples: Sample[], allowed = 0, leaving = false) =>
  sharedLosses(since, samples, 'green', allowed, { leaving })

describe('sharedLosses: whose a failure is, while both colors serve', () => {
  const well = [sample(900, 'blue'), sample(1100, 'blue'), sample(1200, 'green')]
  test.each<[string, Sample[], string | undefined]>([
    ['nothing is known yet', [sample(900, 'blue')], undefined],
    ['nobody lost', well, undefined],
    [
      'an error page is held against the new color, where the live one had none',
      [...well, sample(1300, undefined, true)],
      '1 of 3 requests failed (1 × status 500)',
    ],
    ['also before it has answered', [sample(900, 'blue'), sample(1100, undefined, true)], '1 of 1'],
    [
      'of an error page on a new connection nobody knows whose it is, where the live color had them too',
      [sample(900, undefined, true), sample(1200, 'green'), ...Array(50).fill(sample(9999, undefined, true))],
      undefined,
    ],
    [
      'nor is one on a connection that is kept with the live color the new one’s',
      [
        sample(900, undefined, true),
        sample(1100, 'blue', false, true),
        sample(1200, 'green'),
        sample(1300, undefined, true, true),
      ],
      undefined,
    ],
    [
      'but one on a connection that is kept with the new color is',
      [sample(900, undefined, true), sample(1200, 'green', false, true), sample(1300, undefined, true, true)],
      '1 of 2 requests failed',
    ],
    [
      'a live color that fails, and nobody on the new one yet: that proves nothing against it',
      [sample(900, undefined, true), sample(1100, undefined, true)],
      undefined,
    ],
  ])('%s', (_, samples, expected) => {
    if (expected === undefined) expect(lost(samples)).toBeUndefined()
    else expect(lost(samples)).toStartWith(expected)
  })

  test('what is allowed is allowed, and one more is not', () => {
    const two = [...well, sample(1300, undefined, true), sample(1301, undefined, true)]
    expect(lost(two, 2)).toBeUndefined()
    expect(lost(two, 1)).toStartWith('2 of 4')
  })

  test('whoever leaves a color in need never counts its failures', () => {
    expect(lost([...well, sample(1300, undefined, true)], 0, true)).toBeUndefined()
    expect(lost([...well, sample(1300, 'green', true)], 0, true)).toStartWith('1 of 2')
  })
})

test('sharedProof: when the other color answered last says nothing while it is meant to answer', () => {
  const samples = [sample(900, 'blue'), sample(1100, 'green'), sample(1300, 'blue')]
  const { series: _, ...proof } = sharedProof(
    { ...since, converged: 50, share: 0.25 },
    { samples, skipped: 0 },
    'green',
  )
  expect(proof).toEqual({
    share: 0.25,
    converged: 50,
    firstNew: 100,
    requests: 2,
    failures: 0,
    failuresBefore: 0,
    onNewConnections: 2,
    onKeptConnections: 0,
  })
})

const witness = (samples: Sample[]): Witness => ({
  samples,
  connections: 1,
  skipped: 0,
  next: () => Promise.resolve(),
  stop: () => Promise.resolve(samples),
})

const met = async (samples: Sample[], said?: string) => {
  await using rehearsal = rehearse()
  return await failure(untilMet(rehearsal.world, witness(samples), since, 'green', () => said))
}

describe('untilMet', () => {
  test('the new color has answered', async () => expect((await met([sample(1100, 'green')])).code).toBe(0))

  test('an answer of before is none: what nobody has met is never called well', async () => {
    const { code, message } = await met([sample(900, 'green'), sample(1100, 'blue')])
    expect(code).toBe(1)
    expect(message).toStartWith('No request of the witness met green within 60 s')
  })

  test('what fails every user is not waited for', async () =>
    expect((await met([], '9 of 9 requests failed')).message).toBe('9 of 9 requests failed'))
})

const served = async (selector: object, atLeast = 2, extra?: object) => {
  await using rehearsal = rehearse()
  const { cluster, world } = rehearsal
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  cluster.object('Service', APP).spec = { selector }
  if (extra) cluster.put({ ...service('x'), kind: 'Pod', spec: {}, ...extra })
  return await failure(bothServe(world, 'green', atLeast))
}

describe('bothServe', () => {
  const stray = { metadata: { name: 'debug', labels: { app: APP } }, status: { phase: 'Running' } }

  test('all pods of both', async () => expect((await served({ app: APP })).code).toBe(0))

  test.each<[string, Parameters<typeof served>, RegExp]>([
    ['one alone', [{ app: APP, color: 'green' }], /leads to 2 of 2 pods of green, and to 0 of blue$/],
    ['the other alone', [{ app: APP, color: 'blue' }], /leads to 0 of 2 pods of green, and to 2 of blue$/],
    ['too few', [{ app: APP }, 3], /leads to 2 of 3 pods of green/],
    [
      'a pod of neither',
      [
        { app: APP },
        2,
        { ...stray, status: { ...stray.status, conditions: [{ type: 'Ready', status: 'True' }] } },
      ],
      /1 endpoints of Service chat are of no color$/,
    ],
  ])('never %s', async (_, args, message) => {
    const failed = await served(...args)
    expect(failed.code).toBe(70)
    expect(failed.message).toMatch(message)
  })
})
