/** What is said when a run has lost its lock after traffic had moved: where users are, and whose turn it is. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import { refused } from '../cluster.ts'
import { APP, live } from '../objects.ts'
import { failure, gates, moments, rehearse, running, type Rehearsal } from '../world.ts'
import { planned, request, stored, wentBack } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const EXPIRED = refused('error: You must be logged in to the server (Unauthorized)')

/** A lock that is renewed ten times a second, and 1.1.0 on its way to green. */
async function deployed(rehearsal: Rehearsal, spoil: (rehearsal: Rehearsal) => void) {
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  const plan = await planned(rehearsal)
  spoil(rehearsal)
  return await failure(deploy(rehearsal.world, request, plan, gates()))
}

/** From the moment in which users are watched on green on; goes on once the run has noticed. */
function afterSwitch({ clock, app }: Rehearsal, act: () => unknown): void {
  clock.during.set(moments.after, async () => {
    await app.watched()
    await act()
  })
}

const renews = (line: string): boolean => line.startsWith('patch lease') && line.includes('renewTime')

describe('the lock is lost after the switch', () => {
  test.each<[string, (line: string) => boolean]>([
    ['for its renewal alone', renews],
    ['for everything', () => true],
  ])(
    'the credentials have expired, %s: nobody else has it, and a person is needed (4)',
    async (_, expired) => {
      await using rehearsal = rehearse({ lock: 300 })
      const failed = await deployed(rehearsal, (one) => {
        afterSwitch(one, async () => {
          const lost = Promise.withResolvers<void>()
          let refusals = 0
          one.cluster.intercept = (line) => {
            if (renews(line) && ++refusals > 6) lost.resolve()
            return expired(line) ? EXPIRED : undefined
          }
          await lost.promise
        })
      })
      expect(failed.code).toBe(4)
      expect(failed.message).toMatch(
        /^Users are on 1\.1\.0 \(green\), unproven: The lock could not be renewed, this run stops here: .*\. The next deployment or rollback, or bun scripts\/deployment-status\.ts --env test --repair, finishes or undoes it$/,
      )
      expect(rehearsal.cluster.selector()).toEqual(live('green'))
      expect(stored(rehearsal, request.id).outcome).toBe('open')
    },
  )

  test('somebody else has it: his run has the last word (5), and it is said where users are', async () => {
    await using rehearsal = rehearse({ lock: 300 })
    const failed = await deployed(rehearsal, (one) => {
      afterSwitch(one, async () => {
        await wentBack(one, 'blue')
        one.cluster.object('Lease', `${APP}-deploy`).spec = {
          holderIdentity: 'bob other',
          acquireTime: '2026-11-23T09:00:00.000000Z',
        }
        const noticed = Promise.withResolvers<void>()
        one.cluster.intercept = (line) => void (line.startsWith('get lease') && noticed.resolve())
        await noticed.promise
      })
    })
    expect(failed).toEqual({
      code: 5,
      message:
        'The lock was taken over by bob since 2026-11-23T09:00:00Z: this run stops here. ' +
        'Traffic had moved to 1.1.0 (green) before that. Users are on 1.0.0 (blue) now',
    })
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    expect(stored(rehearsal, request.id).outcome).toBe('open')
  })

  test('somebody else has just taken it, and has not come to the Service yet: the same', async () => {
    await using rehearsal = rehearse({ lock: 300 })
    const failed = await deployed(rehearsal, (one) => {
      afterSwitch(one, async () => {
        one.cluster.object('Lease', `${APP}-deploy`).spec = { holderIdentity: 'bob other' }
        const noticed = Promise.withResolvers<void>()
        one.cluster.intercept = (line) => void (line.startsWith('get lease') && noticed.resolve())
        await noticed.promise
      })
    })
    expect(failed.code).toBe(5)
    expect(failed.message).toMatch(/taken over by bob .* Users are on 1\.1\.0 \(green\) now$/)
    expect(stored(rehearsal, request.id).outcome).toBe('open')
  })

  test('somebody else has put his token there, and the lease says nothing yet: the same', async () => {
    await using rehearsal = rehearse({ lock: 300 })
    const failed = await deployed(rehearsal, (one) =>
      one.clock.during.set(moments.drain, () => wentBack(one, 'blue')),
    )
    expect(failed.code).toBe(5)
    expect(failed.message).toMatch(
      /Traffic had moved to 1\.1\.0 \(green\) before that. Users are on 1\.0\.0 \(blue\) now$/,
    )
    expect(rehearsal.cluster.object('Service', APP).metadata.annotations?.[key.lock]).toBe('somebody else')
  })
})
