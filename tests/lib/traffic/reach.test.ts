import { describe, expect, test } from 'bun:test'
import { reached } from '../../../lib/traffic/reach.ts'
import { failure, FakeClock, rehearse, type Rehearsal } from '../world.ts'

type Says = (count: number) => string | number | undefined

/** A way to users that answers as it is told: a color, or a status of an error page. */
const way = (says: Says) => {
  let asked = 0
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => {
      const said = says(asked++)
      return typeof said === 'number'
        ? new Response('broken', { status: said })
        : Response.json({ color: said })
    },
  })
  return { url: server.url.href, asked: () => asked, [Symbol.dispose]: () => void server.stop(true) }
}

const inTurn =
  (...colors: (string | number)[]): Says =>
  (count) =>
    colors[Math.min(count, colors.length - 1)]

const reach = async (
  { world, clock }: Rehearsal,
  url: string,
  how: Parameters<typeof reached>[3] & { named?: boolean } = {},
) => {
  const { named = true, ...rest } = how
  const witness = { ...world.environment.witness, ...(!named && { color: undefined }) }
  const environment = { ...world.environment, witness }
  return { ...(await reached({ ...world, environment }, url, 'green', rest)), slept: clock.slept }
}

/** What a run of right answers takes: seventeen of them within a second. */
const RUN = { asked: 17, slept: [250, 250, 250, 250] }

describe('an address', () => {
  test('that leads to the color is reached when it has for a second', async () => {
    await using rehearsal = rehearse()
    using server = way(inTurn('green'))
    expect(await reach(rehearsal, server.url)).toEqual({
      converged: true,
      ms: 1000,
      first: 0,
      since: 0,
      slept: RUN.slept,
    })
    expect(server.asked()).toBe(RUN.asked)
  })

  test('whose balancer follows after fifteen seconds is waited for', async () => {
    await using rehearsal = rehearse()
    const { clock } = rehearsal
    using server = way(() => (clock.monotonic() < 15_000 ? 'blue' : 'green'))
    expect(await reach(rehearsal, server.url)).toMatchObject({
      converged: true,
      ms: 16_000,
      first: 15_000,
      since: 15_000,
      lastOther: 'blue',
    })
  })

  test.each([
    ['a third of which never follows', 3],
    ['a tenth of which never follows', 10],
  ])('%s is not reached, and the time is at an end', async (_, part) => {
    await using rehearsal = rehearse()
    using server = way((count) => (count % part === 0 ? 'blue' : 'green'))
    const found = await reach(rehearsal, server.url)
    expect(found).toMatchObject({ converged: false, lastOther: 'blue' })
    expect(found.ms).toBeGreaterThanOrEqual(60_000)
    expect(found.first).toBeLessThan(1000)
    expect(found).not.toHaveProperty('since')
  })

  test('that falls back once begins its run again', async () => {
    await using rehearsal = rehearse()
    using server = way((count) => (count === 11 ? 'blue' : 'green'))
    const found = await reach(rehearsal, server.url)
    expect(found.slept).toEqual([250, 250, 250, 100, ...RUN.slept])
    expect(found).toMatchObject({ converged: true, first: 0, since: 850, lastOther: 'blue' })
  })

  test('that has begun to answer at the end of the time is heard out', async () => {
    await using rehearsal = rehearse()
    const { clock } = rehearsal
    using server = way(() => (clock.monotonic() < 59_900 ? 'blue' : 'green'))
    expect(await reach(rehearsal, server.url)).toMatchObject({ converged: true, since: 59_900 })
  })

  test('that answers without a color is for the gates to judge', async () => {
    await using rehearsal = rehearse()
    using server = way(inTurn(500))
    const found = await reach(rehearsal, server.url)
    expect(found).toMatchObject({ converged: true, since: 0 })
    expect(found).not.toHaveProperty('first')
  })

  test('that was closed so far is not asked before proxies had their time', async () => {
    await using rehearsal = rehearse()
    using server = way(inTurn('green'))
    let early: number | undefined
    rehearsal.clock.during.set(1000, () => (early = server.asked()))
    const { slept } = await reach(rehearsal, server.url, { opening: true })
    expect({ early, asked: server.asked(), slept }).toEqual({
      early: 0,
      asked: RUN.asked,
      slept: [1000, ...RUN.slept],
    })
  })

  test('whose errors may be those of the color that is left is asked again; the first answer of the new one is told', async () => {
    await using rehearsal = rehearse()
    using server = way(inTurn(500, 'blue', 502, 'green'))
    const found = await reach(rehearsal, server.url, { leaving: true })
    expect(found).toMatchObject({ converged: true, first: 300, since: 300, lastOther: 'status 502' })
    expect(server.asked()).toBe(3 + RUN.asked)
  })

  test('of an application that names no color is reached by any answer', async () => {
    await using rehearsal = rehearse()
    using server = way(inTurn('blue'))
    const { slept, ...found } = await reach(rehearsal, server.url, { named: false })
    expect(found).toEqual({ converged: true, ms: 0, first: 0, since: 0 })
    expect({ slept, asked: server.asked() }).toEqual({ slept: [], asked: 1 })
  })

  test('where nobody listens is asked once a second, one connection at a time, and given up', async () => {
    await using rehearsal = rehearse()
    const found = await reach(rehearsal, 'http://127.0.0.1:9')
    expect(found.slept).toEqual(Array.from({ length: 60 }, () => 1000))
    expect(found).toMatchObject({ converged: false, ms: 60_000 })
    expect(found.lastOther).toMatch(/connect/i)
  })

  test('that opens late is reached when it has been open for a second', async () => {
    await using rehearsal = rehearse()
    const held = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
    const { port } = held
    held.stop(true) // as before a proxy has heard of any endpoint
    const servers: Bun.Server<undefined>[] = []
    const { clock } = rehearsal
    clock.during.set(1000, () => {
      if (clock.slept.length < 3 || servers.length > 0) return
      servers.push(Bun.serve({ hostname: '127.0.0.1', port, fetch: () => Response.json({ color: 'green' }) }))
    })
    const { slept } = await reach(rehearsal, `http://127.0.0.1:${port}`)
    expect(slept).toEqual([1000, 1000, 1000, ...RUN.slept])
    await Promise.all(servers.map((server) => server.stop(true)))
  })

  test('is not waited for once the run is interrupted', async () => {
    await using rehearsal = rehearse()
    using server = way(inTurn('blue'))
    const stop = AbortSignal.abort(new Error('interrupted'))
    const failed = await failure(reached({ ...rehearsal.world, signal: stop }, server.url, 'green'))
    expect(failed.message).toBe('Error: interrupted')
  })

  test('is waited for as long as is set', async () => {
    const clock = new FakeClock()
    await using rehearsal = rehearse()
    using server = way(inTurn('blue'))
    const { environment } = rehearsal.world
    const world = {
      ...rehearsal.world,
      clock,
      environment: { ...environment, timeouts: { ...environment.timeouts, reach: 5000 } },
    }
    expect(await reached(world, server.url, 'green')).toEqual({
      converged: false,
      ms: 5000,
      lastOther: 'blue',
    })
  })
})
