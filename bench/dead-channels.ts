#!/usr/bin/env bun
/**
 * What three dead channels cost a deployment on the sandbox: one that hangs, one that answers 500, one whose port is
 * closed. In pairs, one after the other, so that a noisy machine hits both alike. Writes bench/results-channels.md.
 */
import { startRehearsal } from '../examples/rehearsal/rehearsal.ts'
import { receiver } from '../tests/lib/notify/receivers.ts'
import { median, writeResults } from './measure.ts'

const PAIRS = 10

const whole = (ms: number): string => `${Math.round(ms)} ms`

const rehearsal = await startRehearsal()
await using server = receiver(async ({ path }) => {
  if (path === '/hangs') await Bun.sleep(60_000)
  return new Response('', { status: 500 })
})
const dead = Object.entries({ hangs: `${server.url}/hangs`, broken: server.url, away: 'http://127.0.0.1:1' })
const channels = Object.fromEntries(
  dead.map(([name, url]) => [name, { kind: 'webhook', url, secret: 'HOOK_SECRET' }]),
)
try {
  const env = { HOOK_SECRET: `whsec_${Buffer.from('x'.repeat(24)).toString('base64')}` }
  const workspace = await rehearsal.open({}, '1.0.0', '2.0.0')
  let version = '1.0.0'
  const deploy = async (notify: object): Promise<number> => {
    workspace.configure({ notify })
    const { code, ms, stderr } = await workspace.run('deploy', ['--yes', '--version', version], { env })
    if (code !== 0) throw new Error(stderr)
    version = version === '1.0.0' ? '2.0.0' : '1.0.0'
    return ms
  }
  for (let warm = 0; warm < 2; warm++) await deploy({})
  const pairs: [without: number, with_: number][] = []
  for (let pair = 0; pair < PAIRS; pair++) {
    const first = await deploy(pair % 2 === 0 ? {} : channels)
    const second = await deploy(pair % 2 === 0 ? channels : {})
    pairs.push(pair % 2 === 0 ? [first, second] : [second, first])
    console.log(pairs.at(-1)?.map(whole).join(' without, '), 'with')
  }
  const [without, dying] = [median(pairs.map(([one]) => one)), median(pairs.map(([, two]) => two))]
  const ratio = median(pairs.map(([one, two]) => two / one))
  writeResults(
    'channels',
    'A deployment whose channels are dead',
    ['', 'median'],
    [
      ['without channels', whole(without)],
      ['with three dead ones', whole(dying)],
      [`with : without, of ${PAIRS} pairs`, ratio.toFixed(3)],
    ],
    'Whole `deploy` commands on the sandbox, with no bake; each pair back to back, in turn which comes first',
  )
} finally {
  await rehearsal.close()
}
