/** A patch whose answer is lost: whether it was carried out is found out, and never left to chance. */
import { describe, expect, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import { side } from '../../../lib/app/observe.ts'
import { patchSelector, type Move } from '../../../lib/traffic/patch.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { APP, live } from '../objects.ts'
import { failure, rehearse, running, type Rehearsal } from '../world.ts'

/** From blue to green, under the token `mine` (`seen` where a rollback puts its own in the place of another's). */
async function moveOf({ cluster, observed }: Rehearsal, expected = 'mine'): Promise<Move> {
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  const { metadata } = cluster.object('Service', APP)
  metadata.annotations = { [key.lock]: expected }
  const { service, colors } = await observed()
  if (!service) throw new Error('no Service')
  const to = { ...side(colors.green), color: 'green' as const }
  const intent = { id: 'mine', kind: 'deploy', from: side(colors.blue), to, by: 'alice', at: 'now' } as const
  return { intent, to, service, token: { expected, next: 'mine' }, atLeast: 2 }
}

const moves = (line: string): boolean =>
  line.startsWith(`patch service ${APP} `) && line.includes('"path":"/spec/selector","value"')

const tokenOf = ({ cluster }: Rehearsal): string | undefined =>
  cluster.object('Service', APP).metadata.annotations?.[key.lock]

async function patched(rehearsal: Rehearsal, expected?: string) {
  const move = await moveOf(rehearsal, expected)
  let told = 0
  const go = () => patchSelector(rehearsal.world, move, live('green'), () => void told++)
  return { go, told: () => told }
}

describe('the answer to the patch is lost', () => {
  test('it was carried out: found by reading back', async () => {
    await using rehearsal = rehearse()
    const { go } = await patched(rehearsal)
    rehearsal.cluster.loses = moves
    expect((await go()).spec.selector).toEqual(live('green'))
    expect(tokenOf(rehearsal)).toBe('mine')
  })

  test.each(['mine', 'seen'])(
    'it lands between the reading and the mark that voids it: it is the success that it is, and the token ours again (%s)',
    async (expected) => {
      await using rehearsal = rehearse()
      const { cluster } = rehearsal
      const { go, told } = await patched(rehearsal, expected)
      let late: (() => Promise<unknown>) | undefined
      cluster.intercept = async (line, _, args) => {
        if (moves(line)) {
          late = () => cluster.read(['kubectl', ...args])
          return UNREACHABLE
        }
        // Read back: nothing has moved. The next write finds it carried out.
        if (line.startsWith(`patch service ${APP} `) && late) {
          cluster.intercept = () => undefined
          await late()
        }
        return undefined
      }
      expect((await go()).spec.selector).toEqual(live('green'))
      expect(told()).toBeGreaterThan(0)
      expect(cluster.selector()).toEqual(live('green'))
      expect(tokenOf(rehearsal)).toBe('mine')
    },
  )

  test('it has not been carried out: the mark sees to it that it never is', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    const { go, told } = await patched(rehearsal)
    let late: (() => Promise<unknown>) | undefined
    cluster.intercept = (line, _, args) => {
      if (!moves(line)) return undefined
      cluster.intercept = () => undefined
      late = () => cluster.read(['kubectl', ...args])
      return UNREACHABLE
    }
    expect(await failure(go())).toMatchObject({ code: expect.any(Number) })
    expect(told()).toBe(0)
    expect(tokenOf(rehearsal)).toBe('mine-void')
    expect(await late?.()).toMatchObject({ exitCode: 1 })
    expect(cluster.selector()).toEqual(live('blue'))
  })

  test('nobody can tell any more: it may have moved, and is treated so', async () => {
    await using rehearsal = rehearse()
    const { go, told } = await patched(rehearsal)
    rehearsal.cluster.intercept = () => UNREACHABLE
    expect(await failure(go())).toMatchObject({ code: 1 })
    expect(told()).toBe(1)
  })

  test('a refusal is an answer: nothing is marked', async () => {
    await using rehearsal = rehearse()
    const { cluster } = rehearsal
    const { go, told } = await patched(rehearsal)
    cluster.intercept = (line) => (moves(line) ? refused('Error from server (Forbidden): no') : undefined)
    expect((await failure(go())).message).toMatch(/Forbidden/)
    expect([told(), tokenOf(rehearsal)]).toEqual([0, 'mine'])
  })
})
