import { describe, expect, test } from 'bun:test'
import { seconds, systemClock, waitUntil, type Wait } from '../../lib/clock.ts'
import { FakeClock, failure } from './world.ts'

function waiting(more: Partial<Wait> = {}): { wait: Wait; clock: FakeClock; said: string[] } {
  const clock = new FakeClock()
  const said: string[] = []
  const wait = {
    clock,
    signal: new AbortController().signal,
    within: 1000,
    every: 100,
    what: 'green was not ready',
    progress: (state: string) => void said.push(state),
    ...more,
  }
  return { wait, clock, said }
}

const look = () => Promise.reject(new Error('broken'))

describe('waitUntil', () => {
  test('what is there already is not waited for', async () => {
    const { wait, clock } = waiting()
    expect(await waitUntil(() => Promise.resolve({ done: 7 }), wait)).toBe(7)
    expect(clock.slept).toEqual([])
  })

  test('a done of undefined is done', async () => {
    expect(await waitUntil(() => Promise.resolve({ done: undefined }), waiting().wait)).toBeUndefined()
  })

  test('names what is stuck when it times out, and has looked once more at the deadline', async () => {
    const { wait, clock } = waiting()
    const looks: number[] = []
    const start = clock.now()
    const look = () => Promise.resolve((looks.push(clock.now() - start), '1 of 2'))
    expect(await failure(waitUntil(look, wait))).toEqual({
      code: 70,
      message: 'green was not ready within 1 s: 1 of 2',
    })
    expect(looks[0]).toBe(0)
    expect(looks.at(-1)).toBe(1000)
    expect(clock.now() - start).toBe(1000)
  })

  test.each([3_600_000, -3_600_000])(
    'a wall clock that is set by %p ms makes no wait shorter or longer',
    async (by) => {
      const { wait, clock } = waiting()
      const start = clock.monotonic()
      clock.during.set(100, () => clock.set(by))
      expect(await failure(waitUntil(() => Promise.resolve('never'), wait))).toMatchObject({ code: 70 })
      expect(clock.monotonic() - start).toBe(1000)
    },
  )

  test('what comes with the last look counts', async () => {
    const { wait, clock } = waiting()
    const start = clock.now()
    const look = () => Promise.resolve(clock.now() - start >= 1000 ? { done: 'late' } : 'not yet')
    expect(await waitUntil(look, wait)).toBe('late')
  })

  test('a look that takes longer than the wait is not the end of it', async () => {
    const { wait, clock } = waiting()
    let looks = 0
    const look = async () => {
      if (looks++ === 0) await clock.sleep(5000)
      return looks === 2 ? { done: looks } : 'slow'
    }
    expect(await waitUntil(look, wait)).toBe(2)
  })

  test.each([Number.NaN, 0, -1])('within %p: one look or two, never for ever', async (within) => {
    const { wait, clock } = waiting({ within })
    let looks = 0
    const look = async () =>
      ++looks > 50 ? Promise.reject(new Error('for ever')) : await Promise.resolve('never')
    expect(await failure(waitUntil(look, wait))).toMatchObject({ code: 70 })
    expect(clock.slept.length).toBeLessThan(3)
  })

  test('says each change once, and the same again every 30 s', async () => {
    const { wait, said } = waiting({ within: 65_000, every: 1000 })
    let looks = 0
    await failure(waitUntil(() => Promise.resolve(looks++ === 0 ? '0 of 2' : '1 of 2'), wait))
    expect(said).toEqual(['0 of 2', '1 of 2', '1 of 2', '1 of 2'])
  })

  test('looks less often the longer it takes, down to a quarter', async () => {
    const { wait, clock } = waiting({ within: 60_000 })
    await failure(waitUntil(() => Promise.resolve('never'), wait))
    expect(clock.slept[0]).toBe(100)
    expect(Math.max(...clock.slept)).toBe(400)
  })

  test('its own words for a time-out', async () => {
    const { wait } = waiting({ timeout: (state) => new Error(`stuck at ${state}`) })
    expect(await failure(waitUntil(() => Promise.resolve('x'), wait))).toMatchObject({
      message: 'Error: stuck at x',
    })
  })

  test('what the look throws is thrown', async () => {
    expect(waitUntil(look, waiting().wait)).rejects.toThrow('broken')
  })

  test('an interrupt ends it with its own reason', async () => {
    const stop = new AbortController()
    const { wait, clock } = waiting({ signal: stop.signal })
    clock.during.set(100, () => stop.abort(new Error('SIGINT')))
    expect(waitUntil(() => Promise.resolve('x'), wait)).rejects.toThrow('SIGINT')
  })
})

describe('systemClock', () => {
  test('sleeps, and wakes for a signal', async () => {
    const stop = new AbortController()
    const started = systemClock.now()
    await systemClock.sleep(1, stop.signal)
    const long = systemClock.sleep(60_000, stop.signal)
    stop.abort(new Error('enough'))
    expect(long).rejects.toThrow('enough')
    expect(systemClock.sleep(60_000, stop.signal)).rejects.toThrow('enough')
    expect(systemClock.sleep(60_000, AbortSignal.abort('a word'))).rejects.toThrow('a word')
    expect(systemClock.now()).toBeGreaterThanOrEqual(started)
    const before = systemClock.monotonic()
    await systemClock.sleep(5)
    expect(systemClock.monotonic()).toBeGreaterThan(before)
    expect(Number.isInteger(before)).toBe(true)
  })
})

test.each([
  [0, '0 ms'],
  [850.4, '850 ms'],
  [1000, '1 s'],
  [4200, '4.2 s'],
  [119_900, '119.9 s'],
  [120_000, '2 m 0 s'],
  [200_000, '3 m 20 s'],
  [179_700, '3 m 0 s'],
  [3_600_000, '60 m 0 s'],
])('%p ms read as %s', (ms, text) => expect(seconds(ms)).toBe(text))
