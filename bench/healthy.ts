#!/usr/bin/env bun
/**
 * Healthy releases in a row with their bakes, users all the while: how many were taken back, or doubted, and whom the
 * switches have lost. `bun bench/healthy.ts [COUNT] [direct|gradual]`, two minutes a release; on the sandbox, or with
 * E2E_CLUSTER=real on the cluster of KUBECONFIG. Writes bench/results-healthy-KIND-SWITCH.md.
 */
import { seconds } from '../lib/clock.ts'
import { startRehearsal } from '../examples/rehearsal/rehearsal.ts'
import { writeResults } from './measure.ts'
import { scraped } from './scraped.ts'
import { users, type Met } from './users.ts'

const EVERY = 5
const BAKE = { first: '10s', time: '60s', maxTime: '90s', every: `${EVERY}s` }
const GRADUAL = { first: 1, hold: '10s', full: '10s' }

async function main(): Promise<void> {
  const [count = '10', how = 'direct'] = process.argv.slice(2)
  const rehearsal = await startRehearsal()
  try {
    await Promise.all(['1.0.0', '2.0.0'].map((version) => rehearsal.images.push(version)))
    const workspace = await rehearsal.open()
    await using prometheus = await scraped(workspace, EVERY)
    const bake = { ...BAKE, prometheus: prometheus.url }
    workspace.configure({ bake: false })
    const { code, stderr } = await workspace.deploy('1.0.0')
    if (code !== 0) throw new Error(stderr)
    workspace.configure({ bake, ...(how === 'gradual' && { switch: 'gradual', gradual: GRADUAL }) })
    const met: Met[] = []
    const stop = users(workspace.url, met)
    const rows: string[][] = []
    for (let release = 1; release <= Number(count); release++) {
      const before = met.length
      const flags = ['--env', 'production', '--yes', '--version', release % 2 === 0 ? '1.0.0' : '2.0.0']
      const ended = await workspace.start('deploy', flags, { within: 600_000 }).ended
      const [record] = await workspace.history()
      const since = met.slice(before)
      const row = [
        String(release),
        String(ended.code),
        record?.bake?.verdict ?? '–',
        seconds(ended.ms),
        String(since.length),
        String(since.filter(({ bad }) => bad).length),
      ]
      console.log(row.join(' | '))
      rows.push(row)
      if (ended.code !== 0) console.log(ended.stderr)
    }
    await Bun.sleep(1000)
    stop()
    writeResults(
      `healthy-${rehearsal.cluster.kind}-${how}`,
      `Healthy releases in a row (${rehearsal.cluster.kind}, ${how})`,
      ['release', 'exit', 'verdict', 'took', 'requests meanwhile', 'of them failed'],
      rows,
      `Watched for 10 s beside the old color and for 60 s alone, a reading and a scrape each ${EVERY} s, 20 requests/s on two pods, half of them on new connections`,
    )
  } finally {
    await rehearsal.close()
  }
}

await main()
