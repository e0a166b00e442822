import { expect } from 'bun:test'
import { rateOf } from '../../examples/rehearsal/traffic.ts'
import { exits, rehearsal, safely, since, unharmed } from './suite.ts'

const stage = rehearsal()

safely('S1: ten switches in both directions never cost a request, and no client stays behind', async () => {
  const workspace = await stage().open({}, '1.0.0', '2.0.0', '3.0.0')
  await workspace.bring('1.0.0')
  const traffic = await workspace.traffic(220, 20)
  const went: (string | undefined)[] = []
  const stayed: string[] = []
  const settled = async (): Promise<void> => {
    const { color } = await workspace.selector()
    const moment = Date.now()
    await Bun.sleep(1000) // so that every kept connection has asked since
    const elsewhere = since(traffic.samples(), moment).filter((sample) => sample.color !== color)
    if (elsewhere.length > 0)
      stayed.push(`${elsewhere.length} answers of ${elsewhere[0]?.color}, not ${color}`)
    went.push(color)
  }
  const versions = ['2.0.0', '3.0.0']
  for (let round = 0; round < 3; round++) {
    // Whoever leaves a color sees to it that nobody is served by it from then on.
    exits(await workspace.deploy(versions[round % 2] ?? ''), 0)
    await settled()
    for (let back = 0; back < 2; back++) {
      const to = (await workspace.selector()).color === 'blue' ? 'green' : 'blue'
      exits(await workspace.run('switch-traffic', ['--to', to, '--yes']), 0)
      await settled()
    }
  }
  exits(await workspace.deploy('2.0.0'), 0)
  await settled()
  const samples = await traffic.stop()

  expect(went).toHaveLength(10)
  expect(went.every((color, i) => color === (i % 2 === 0 ? went[0] : went[1]))).toBe(true)
  expect(new Set(went)).toEqual(new Set(['blue', 'green']))
  expect(stayed).toEqual([])
  unharmed(samples)
  expect(samples.filter(({ kind }) => kind === 'kept').length / samples.length).toBeCloseTo(0.5, 1)
  expect(rateOf(samples)).toBeGreaterThan(200)
})
