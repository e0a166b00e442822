import { describe, expect, test } from 'bun:test'
import { acquireLock, fence, holder, isLockLoss, seizeLock, type Lock } from '../../../lib/history/lock.ts'
import { key } from '../../../lib/app/color.ts'
import { DeployError } from '../../../lib/errors.ts'
import { lease as leaseForm, service as serviceForm } from '../../../lib/cluster/objects.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { APP, service } from '../objects.ts'
import { failure, rehearse, type Rehearsal } from '../world.ts'

const lease = ({ cluster }: Rehearsal) => cluster.object('Lease', `${APP}-deploy`).spec
const token = ({ cluster }: Rehearsal) => cluster.object('Service', APP).metadata.annotations?.[key.lock]

const acquire = async (rehearsal: Rehearsal): Promise<Lock> =>
  await acquireLock(rehearsal.world, await rehearsal.observed(), 'mine')

/** Until a lock notices that it is lost. */
const loss = (lock: Lock): Promise<never> =>
  new Promise((_, reject) => lock.lost.addEventListener('abort', () => reject(lock.lost.reason)))

describe('a lock', () => {
  test('is a Lease that says who, since when and for how long', async () => {
    await using rehearsal = rehearse()
    const lock = await acquire(rehearsal)
    expect(lease(rehearsal)).toMatchObject({
      holderIdentity: 'alice@laptop mine',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
    })
    expect(String(lease(rehearsal)?.renewTime)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    lock.check()
    await lock.release()
    expect(lease(rehearsal)?.holderIdentity).toBe('')
    await (await acquire(rehearsal)).release()
    expect(lease(rehearsal)).toMatchObject({ leaseTransitions: 1 })
  })

  test("is renewed in the background, and by nobody else's hand", async () => {
    await using rehearsal = rehearse({ lock: 90 })
    const lock = await acquire(rehearsal)
    const { renewTime } = lease(rehearsal) ?? {}
    while (lease(rehearsal)?.renewTime === renewTime) await Bun.sleep(5)
    const lost = failure(loss(lock))
    Object.assign(lease(rehearsal) ?? {}, { holderIdentity: 'bob other' })
    expect(await lost).toEqual({
      code: 5,
      message: expect.stringMatching(/^The lock was taken over by bob since/),
    })
    expect(() => lock.check()).toThrow(/taken over by bob/)
    await lock.release()
    expect(lease(rehearsal)?.holderIdentity).toBe('bob other')
  })

  test('is held for longer, and renewed less often, once the cluster has taken that', async () => {
    await using rehearsal = rehearse({ lock: 90 })
    const { cluster } = rehearsal
    const lock = await acquire(rehearsal)
    await lock.lengthen(60_000)
    expect(lease(rehearsal)).toMatchObject({ leaseDurationSeconds: 60 })
    const renewals = () => cluster.asked.filter((line) => line.includes('renewTime')).length
    const before = renewals()
    await Bun.sleep(200)
    expect(renewals()).toBe(before)
    lock.check() // a lock of 90 ms would no longer be trusted
    await lock.lengthen(1000)
    expect(lease(rehearsal)).toMatchObject({ leaseDurationSeconds: 60 })
    await lock.release()
    expect(lease(rehearsal)?.holderIdentity).toBe('')
    await (await acquire(rehearsal)).release()
    expect(lease(rehearsal)).toMatchObject({ leaseDurationSeconds: 1 })
  })

  test('is not trusted for longer as long as the cluster has not taken that', async () => {
    await using rehearsal = rehearse({ lock: 300 })
    const lock = await acquire(rehearsal)
    rehearsal.cluster.intercept = () => UNREACHABLE
    const lost = failure(loss(lock))
    await lock.lengthen(60_000)
    expect(await lost).toMatchObject({ code: 5 })
    expect(() => lock.check()).toThrow(/could not be renewed/)
    await lock.release()
  })

  test('that is another’s by then is lost as it is lengthened', async () => {
    await using rehearsal = rehearse()
    const lock = await acquire(rehearsal)
    const lost = failure(loss(lock))
    Object.assign(lease(rehearsal) ?? {}, { holderIdentity: 'bob other' })
    await lock.lengthen(60_000)
    expect(await lost).toMatchObject({ message: expect.stringContaining('taken over by bob') })
    expect(lease(rehearsal)).toMatchObject({ holderIdentity: 'bob other', leaseDurationSeconds: 15 })
    await lock.release()
  })

  test('is lost when nobody can say who has it', async () => {
    await using rehearsal = rehearse({ lock: 60 })
    const lock = await acquire(rehearsal)
    const lost = failure(loss(lock))
    rehearsal.cluster.intercept = () => UNREACHABLE
    expect(await lost).toEqual({
      code: 5,
      message: expect.stringMatching(/could not be renewed, this run stops here/),
    })
    await lock.release()
  })

  test('that cannot be released expires: releasing never throws for the cluster', async () => {
    await using rehearsal = rehearse()
    for (const answer of [
      UNREACHABLE,
      refused('Error from server (Forbidden): no'),
      refused('Error from server (NotFound): no'),
    ]) {
      const lock = await acquire(rehearsal)
      rehearsal.cluster.intercept = () => answer
      await lock.release()
      rehearsal.cluster.intercept = () => undefined
      rehearsal.cluster.objects.clear()
    }
  })

  test('is seized without waiting, whether there is a Lease or not', async () => {
    await using rehearsal = rehearse()
    for (const who of ['first', 'second']) {
      const lock = await seizeLock(rehearsal.world, who)
      expect(lease(rehearsal)?.holderIdentity).toBe(`alice@laptop ${who}`)
      expect(rehearsal.clock.slept).toEqual([])
      void lock
    }
  })

  test('a name with blanks does not break it', async () => {
    await using rehearsal = rehearse()
    const lock = await acquireLock({ ...rehearsal.world, by: 'Alice B' }, await rehearsal.observed(), 'mine')
    expect(
      holder(leaseForm.parse({ kind: 'Lease', metadata: { name: 'x' }, spec: lease(rehearsal) })),
    ).toMatch(/^Alice_B since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    await lock.release()
  })
})

/** Somebody else's Lease, as it was seen. */
function heldBy(rehearsal: Rehearsal, who: string): void {
  const { cluster } = rehearsal
  const spec = {
    holderIdentity: `${who} theirs`,
    leaseDurationSeconds: 15,
    acquireTime: '2026-11-23T07:00:00Z',
  }
  const metadata = { name: `${APP}-deploy`, labels: { app: APP } }
  cluster.put({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec })
}

/** Whoever holds it renews it, so many times, each time that somebody looks; then it is set free or left. */
function renewing({ cluster }: Rehearsal, times: number, after: () => void = () => {}): void {
  let left = times
  cluster.intercept = (line) => {
    if (!line.startsWith(`get lease/${APP}-deploy`)) return undefined
    if (left-- > 0) cluster.put(cluster.object('Lease', `${APP}-deploy`))
    else if (left === -1) after()
    return undefined
  }
}

const losing = ({ cluster }: Rehearsal, pattern: RegExp): void => {
  let times = 1
  cluster.loses = (line) => pattern.test(line) && times-- > 0
}

describe('a lost answer does not lose the lock', () => {
  test.each([
    ['when its Lease is made', false, /^create/],
    ['when its Lease is taken over from a predecessor', true, /^replace/],
  ])('%s', async (_, before, pattern) => {
    await using rehearsal = rehearse()
    if (before) await (await acquire(rehearsal)).release()
    losing(rehearsal, pattern)
    const lock = await acquire(rehearsal)
    expect(lease(rehearsal)?.holderIdentity).toBe('alice@laptop mine')
    lock.check()
    await lock.release()
  })

  test.each([
    ['there is a Lease', true, /^patch lease/],
    ['there is none', false, /^create/],
  ])('when it is seized and %s', async (_, before, pattern) => {
    await using rehearsal = rehearse()
    if (before) heldBy(rehearsal, 'bob')
    losing(rehearsal, pattern)
    const lock = await seizeLock(rehearsal.world, 'mine')
    expect(lease(rehearsal)?.holderIdentity).toBe('alice@laptop mine')
    await lock.release()
  })

  test('when it is released', async () => {
    await using rehearsal = rehearse()
    const lock = await acquire(rehearsal)
    let times = 1
    rehearsal.cluster.intercept = (line) =>
      line.startsWith('patch lease') && times-- > 0 ? UNREACHABLE : undefined
    await lock.release()
    expect(lease(rehearsal)?.holderIdentity).toBe('')
  })

  test("when the Service is marked: its own mark is not somebody else's", async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    const before = serviceForm.parse(cluster.put(marked({ [key.lock]: 'old' })))
    losing(rehearsal, /^patch service/)
    const fenced = await fence(world, before, free)
    expect(fenced.metadata.annotations[key.lock]).toBe('mine')
    expect(token(rehearsal)).toBe('mine')
  })

  test('a lock whose Lease was asked for long ago is renewed before anything is written under it', async () => {
    await using rehearsal = rehearse({ lock: 200 })
    const { cluster } = rehearsal
    cluster.intercept = async (line) => {
      // As a kubectl that takes long to answer does it.
      if (line.startsWith('create')) await Bun.sleep(190)
      return undefined
    }
    const lock = await acquire(rehearsal)
    lock.check()
    await lock.release()
    expect(cluster.asked.filter((line) => line.includes('renewTime')).length).toBeGreaterThanOrEqual(1)
  })
})

describe('a lock that somebody else holds', () => {
  test("is not stolen by whoever's clock was set forward", async () => {
    await using rehearsal = rehearse()
    heldBy(rehearsal, 'bob')
    const seen = await rehearsal.observed()
    let looks = 0
    rehearsal.cluster.intercept = (line) => {
      if (line.startsWith('get lease') && ++looks === 2) rehearsal.clock.set(3_600_000)
      if (looks === 4) rehearsal.cluster.put(rehearsal.cluster.object('Lease', `${APP}-deploy`))
      return undefined
    }
    expect(await failure(acquireLock(rehearsal.world, seen, 'mine'))).toMatchObject({ code: 5 })
    expect(lease(rehearsal)?.holderIdentity).toBe('bob theirs')
  })

  test('is told of when it is waited for, and again every 30 s; not at every look', async () => {
    await using rehearsal = rehearse()
    const { world, log, cluster } = rehearsal
    heldBy(rehearsal, 'bob')
    Object.assign(lease(rehearsal) ?? {}, { leaseDurationSeconds: 70 })
    const lock = await acquireLock(world, await rehearsal.observed(), 'mine')
    expect(log.lines).toEqual([
      'held by bob since 2026-11-23T07:00:00Z; free in 70 s unless it is renewed',
      'held by bob since 2026-11-23T07:00:00Z; free in 40 s unless it is renewed',
      'held by bob since 2026-11-23T07:00:00Z; free in 10 s unless it is renewed',
    ])
    expect(cluster.asked.filter((line) => line.startsWith('get lease')).length).toBeGreaterThan(100)
    await lock.release()
  })

  test('is waited for as long as one likes, until it is free', async () => {
    await using rehearsal = rehearse()
    const { world, cluster, clock, log } = rehearsal
    heldBy(rehearsal, 'bob')
    renewing(rehearsal, 40, () => {
      const held = cluster.object('Lease', `${APP}-deploy`)
      cluster.put({ ...held, spec: { ...held.spec, holderIdentity: '' } })
    })
    const lock = await acquireLock(world, await rehearsal.observed(), 'mine', { waitFor: 600_000 })
    expect(lease(rehearsal)?.holderIdentity).toBe('alice@laptop mine')
    expect(clock.monotonic()).toBeGreaterThan(40_000)
    expect(clock.monotonic()).toBeLessThan(120_000)
    expect(log.lines[0]).toBe(
      'held by bob since 2026-11-23T07:00:00Z; free in 15 s unless it is renewed; waiting 10 m 0 s more at the most',
    )
    expect(log.lines.length).toBeLessThan(5)
    await lock.release()
  })

  test('is waited for through the next holder too, who is told of', async () => {
    await using rehearsal = rehearse()
    const { world, cluster, log } = rehearsal
    heldBy(rehearsal, 'bob')
    renewing(rehearsal, 3, () => {
      const held = cluster.object('Lease', `${APP}-deploy`)
      cluster.put({ ...held, spec: { ...held.spec, holderIdentity: 'carol theirs' } })
    })
    const lock = await acquireLock(world, await rehearsal.observed(), 'mine', { waitFor: 600_000 })
    expect(log.lines).toEqual([
      expect.stringContaining('held by bob'),
      expect.stringContaining('held by carol'),
    ])
    expect(log.warnings).toEqual([expect.stringMatching(/^The lock of carol .* was not renewed/)])
    await lock.release()
  })

  test('longer than that is exit 5, with who and how long', async () => {
    await using rehearsal = rehearse()
    const { world, clock } = rehearsal
    heldBy(rehearsal, 'bob')
    renewing(rehearsal, Number.POSITIVE_INFINITY)
    expect(
      await failure(acquireLock(world, await rehearsal.observed(), 'mine', { waitFor: 60_000 })),
    ).toEqual({
      code: 5,
      message: expect.stringMatching(
        /^chat in test is locked by bob since 2026-11-23T07:00:00Z still, after 60 s\. /,
      ),
    })
    expect(clock.monotonic()).toBeGreaterThanOrEqual(60_000)
    expect(clock.monotonic()).toBeLessThan(80_000)
  })

  test('an interrupt ends the wait', async () => {
    await using rehearsal = rehearse()
    const { world, clock } = rehearsal
    heldBy(rehearsal, 'bob')
    renewing(rehearsal, Number.POSITIVE_INFINITY)
    clock.during.set(2000, () => clock.monotonic() > 10_000 && rehearsal.interrupt())
    expect(
      await failure(acquireLock(world, await rehearsal.observed(), 'mine', { waitFor: 600_000 })),
    ).toMatchObject({ code: 130 })
  })
})

const marked = (annotations?: Record<string, string>) => ({
  ...service(APP),
  metadata: { ...service(APP).metadata, ...(annotations && { annotations }) },
  spec: { selector: { app: APP } },
})

const gone = () => {
  throw new DeployError('lost', 5)
}

const free: Lock = {
  token: 'mine',
  check: () => {},
  lost: new AbortController().signal,
  lengthen: () => Promise.resolve(),
  release: () => Promise.resolve(),
}

describe('the mark on the live Service', () => {
  test.each([
    ['no annotations', undefined],
    ['others', { a: 'b' }],
    ["a predecessor's", { [key.lock]: 'old' }],
  ])('is put over %s', async (_, annotations) => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    const before = serviceForm.parse(cluster.put(marked(annotations)))
    await fence(world, before, free)
    expect(cluster.object('Service', APP).metadata.annotations).toMatchObject({
      ...annotations,
      [key.lock]: 'mine',
    })
  })

  test("a successor's is not overwritten by whoever slept in between (S3)", async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    const before = serviceForm.parse(cluster.put(marked({ [key.lock]: 'old' })))
    cluster.put(marked({ [key.lock]: 'theirs' }))
    cluster.put({
      apiVersion: 'v1',
      kind: 'Lease',
      metadata: { name: `${APP}-deploy` },
      spec: { holderIdentity: 'bob theirs' },
    })
    expect(await failure(fence(world, before, free))).toMatchObject({ code: 5 })
    expect(token(rehearsal)).toBe('theirs')
  })

  test('another one who came before us is fenced off, so long as the Lease is ours', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    const before = serviceForm.parse(cluster.put(marked({ [key.lock]: 'old' })))
    cluster.put(marked({ [key.lock]: 'late' }))
    cluster.put({
      apiVersion: 'v1',
      kind: 'Lease',
      metadata: { name: `${APP}-deploy` },
      spec: { holderIdentity: 'alice@laptop mine' },
    })
    await fence(world, before, free)
    expect(token(rehearsal)).toBe('mine')
  })

  test('nothing is written under a lock that is lost', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    const before = serviceForm.parse(cluster.put(marked()))
    expect(await failure(fence(world, before, { ...free, check: gone }))).toEqual({
      code: 5,
      message: 'lost',
    })
    expect(cluster.writes).toEqual([])
  })
})

test('a loss of the lock is told by its exit code', () => {
  const errors = [new DeployError('x', 5), new DeployError('x', 1), new Error('x'), undefined]
  expect(errors.map(isLockLoss)).toEqual([true, false, false, false])
})
