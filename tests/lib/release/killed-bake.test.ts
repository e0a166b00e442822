/** A watch whose command is killed after any of its readings is gone on with as if it had not been. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { weighAll, type BakeRecord } from '../../../lib/monitor/bake.ts'
import { repairAlone } from '../../../lib/release/switch-alone.ts'
import type { Stored } from '../objects.ts'
import { failure, gates } from '../world.ts'
import { baking, go, recordOf } from './baking.ts'
import { Counting } from './counting.ts'

setDefaultTimeout(120_000)

/** Enough failures that the odds move, and too few to go back. */
const come = (counting: Counting, reading: number): void => counting.users(100, reading % 3 === 0 ? 1 : 0)

/** What a kill leaves: the cluster, what the pods have counted, and when it was. */
interface Left {
  reading: number
  objects: Map<string, Stored>
  counting: Counting
  at: number
}

/** What was staked on requests that fail has become, after each reading in which there were any. */
function wealthOf({ readings, limits }: BakeRecord): readonly (readonly number[])[] {
  return readings.flatMap(({ counts }, index) => {
    if (!counts['errors']?.live?.[1]) return []
    const { weighed } = weighAll({ readings: readings.slice(0, index + 1), limits })
    return [weighed['errors']?.wealth ?? []]
  })
}

const bakeOf = (rehearsal: Parameters<typeof recordOf>[0]): BakeRecord => {
  const { bake } = recordOf(rehearsal)
  if (!bake) throw new Error('it was not watched')
  return bake
}

/** Watched to its end; and what would have been left after each reading. */
async function undisturbed(): Promise<{ bake: BakeRecord; lefts: Left[] }> {
  const lefts: Left[] = []
  await using counting = new Counting()
  await using rehearsal = await baking(
    async (reading, { cluster, clock }) => {
      await Bun.sleep(5) // the record is on its way
      const objects = new Map(structuredClone([...cluster.objects]))
      lefts.push({ reading, objects, counting: counting.copy(), at: clock.now() })
      come(counting, reading)
    },
    { prometheus: counting.url },
  )
  counting.watch(rehearsal)
  await go(rehearsal)
  return { bake: bakeOf(rehearsal), lefts }
}

/** What the next command makes of it. Users come all the while. */
async function goneOnWith({ reading, objects, counting, at }: Left): Promise<BakeRecord> {
  await using rehearsal = await baking((further) => come(counting, reading + further), {
    prometheus: counting.url,
  })
  const { cluster, clock, world } = rehearsal
  for (const [key, object] of objects) cluster.objects.set(key, object)
  clock.set(at - clock.now())
  counting.watch(rehearsal)
  come(counting, reading)
  expect((await failure(repairAlone(world, 'r-repair', gates()))).message).toBe('')
  return bakeOf(rehearsal)
}

test('after each reading: the same wealth, at once and after all that follow', async () => {
  const { bake, lefts } = await undisturbed()
  const expected = wealthOf(bake)
  expect([bake.verdict, expected.length]).toEqual(['passed', lefts.length])
  expect(new Set(expected.flat()).size).toBeGreaterThan(lefts.length) // it moves
  for (const left of lefts) {
    await using counting = left.counting
    const resumed = await goneOnWith({ ...left, counting })
    expect(resumed.verdict).toBe('passed')
    expect(resumed.limits).toEqual(bake.limits)
    const found = wealthOf(resumed).slice(0, expected.length)
    expect(found.length).toBeGreaterThanOrEqual(left.reading)
    for (const [index, wealth] of found.entries())
      for (const [stake, value] of wealth.entries())
        expect(Math.abs(value / (expected[index]?.[stake] ?? Number.NaN) - 1)).toBeLessThan(1e-9)
  }
})
