import { describe, expect, test } from 'bun:test'
import { reached } from '../../../lib/traffic/reach.ts'
import { failure, FakeClock, rehearse } from '../world.ts'

const answers = (...colors: (string | undefined)[]) => {
  let asked = 0
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => {
      const color = colors[Math.min(asked++, colors.length - 1)]
      return color === undefined ? new Response('broken', { status: 500 }) : Response.json({ color })
    },
  })
  return { url: server.url.href, asked: () => asked, [Symbol.dispose]: () => void server.stop(true) }
}

describe('an address', () => {
  test.each([
    ['that leads to the color is reached at once', ['green'], 1],
    ['that still leads to the other color is asked again', ['blue', 'blue', 'green'], 3],
    ['that answers without a color is for the gates to judge', [undefined, 'green'], 1],
  ])('%s', async (_, colors, times) => {
    await using rehearsal = rehearse()
    using server = answers(...colors)
    await reached(rehearsal.world, server.url, 'green')
    expect(server.asked()).toBe(times)
  })

  test('that was closed so far is not asked before proxies had their time', async () => {
    await using rehearsal = rehearse()
    using server = answers('green')
    const clock = new FakeClock()
    let early = 0
    clock.during.set(1000, () => (early = server.asked()))
    await reached({ ...rehearsal.world, clock }, server.url, 'green', { opening: true })
    expect({ early, asked: server.asked(), slept: clock.slept }).toEqual({
      early: 0,
      asked: 1,
      slept: [1000],
    })
  })

  test('whose errors may be those of the color that is left is asked again', async () => {
    await using rehearsal = rehearse()
    using server = answers(undefined, 'blue', undefined, 'green')
    await reached(rehearsal.world, server.url, 'green', { leaving: true })
    expect(server.asked()).toBe(4)
  })

  test('of no color is reached by any answer, and not before there is one', async () => {
    await using rehearsal = rehearse()
    const held = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
    const { port } = held
    held.stop(true) // as before a proxy has heard of any endpoint
    const servers: Bun.Server<undefined>[] = []
    const clock = new FakeClock()
    clock.during.set(1000, () => {
      if (clock.slept.length < 3 || servers.length > 0) return
      servers.push(Bun.serve({ hostname: '127.0.0.1', port, fetch: () => Response.json({ color: 'plain' }) }))
    })
    await reached({ ...rehearsal.world, clock }, `http://127.0.0.1:${port}`, undefined)
    expect(clock.slept).toEqual([1000, 1000, 1000])
    await Promise.all(servers.map((server) => server.stop(true)))
  })

  test('where nobody listens is given up after ten seconds', async () => {
    await using rehearsal = rehearse()
    const clock = new FakeClock()
    await reached({ ...rehearsal.world, clock }, 'http://127.0.0.1:9', 'green')
    expect(clock.slept.reduce((sum, ms) => sum + ms, 0)).toBe(10_000)
  })

  test('is not waited for once the run is interrupted', async () => {
    await using rehearsal = rehearse()
    using server = answers('blue')
    const stop = AbortSignal.abort(new Error('interrupted'))
    const failed = await failure(reached({ ...rehearsal.world, signal: stop }, server.url, 'green'))
    expect(failed.message).toBe('Error: interrupted')
  })
})
