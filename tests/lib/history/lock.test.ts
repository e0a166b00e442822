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

const marked = (annotations?: Record<string, string>) => ({
  ...service(APP),
  metadata: { ...service(APP).metadata, ...(annotations && { annotations }) },
  spec: { selector: { app: APP } },
})

const gone = () => {
  throw new DeployError('lost', 5)
}

describe('the mark on the live Service', () => {
  const free: Lock = {
    token: 'mine',
    check: () => {},
    lost: new AbortController().signal,
    release: () => Promise.resolve(),
  }

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
