#!/usr/bin/env bun
/**
 * What a bake takes of a core: the CPU time of a release that is watched, with all that it starts, less that of one that is
 * not, by how long it was watched. On the sandbox, half an hour. Writes bench/results-bake-cost.md.
 */
import { startRehearsal } from '../examples/rehearsal/rehearsal.ts'
import type { Settings, Workspace } from '../examples/rehearsal/workspace.ts'
import { writeResults } from './measure.ts'
import { scraped } from './scraped.ts'

const MINUTES = 10
/** As it is where nothing else is said, without what a doubt adds. */
const AS_LONG = { first: '60s', time: `${MINUTES}m`, maxTime: `${MINUTES}m` }
const WATCHED = 60 + MINUTES * 60

/** A shell that says at its end what the program and whatever that waited for have taken: `0m1.230s 0m0.410s`. */
const TIMED = ['bash', '-c', '"$@"; code=$?; times >&2; exit $code', 'timed']

/** s of CPU time. */
async function costOf(workspace: Workspace, version: string, settings: Settings): Promise<number> {
  workspace.configure(settings)
  const flags = ['--env', 'production', '--yes', '--version', version]
  const { code, stderr } = await workspace.start('deploy', flags, { within: 900_000 }, TIMED).ended
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  const spent = stderr.trim().split('\n').at(-1) ?? ''
  const parts = [...spent.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, more]) => 60 * Number(minutes) + Number(more),
  )
  if (parts.length !== 2) throw new Error(`not what a shell says of times: ${spent}`)
  return parts.reduce((a, b) => a + b, 0)
}

async function main(): Promise<void> {
  const rehearsal = await startRehearsal()
  try {
    await Promise.all(['1.0.0', '2.0.0'].map((version) => rehearsal.images.push(version)))
    const workspace = await rehearsal.open()
    await using prometheus = await scraped(workspace, 15)
    let releases = 0
    const cost = async (settings: Settings): Promise<number> =>
      await costOf(workspace, releases++ % 2 === 0 ? '1.0.0' : '2.0.0', settings)
    await cost({ bake: false }) // the first release is another one
    const bakes: [string, Settings][] = [
      ['Prometheus', { bake: { ...AS_LONG, prometheus: prometheus.url } }],
      ["the pods' own /metrics", { bake: AS_LONG }],
    ]
    const rows: string[][] = []
    for (const [name, settings] of bakes) {
      const without = await cost({ ...settings, bake: false })
      const taken = await cost(settings)
      const share = (100 * (taken - without)) / WATCHED
      const row = [name, `${taken.toFixed(2)} s`, `${without.toFixed(2)} s`, `${share.toFixed(2)} %`]
      console.log(row.join(' | '))
      rows.push(row)
    }
    const how = `A reading each 15 s, 2 probes/s of each color, two pods of each, watched for ${WATCHED} s. User and system time of the command and of all that it started`
    writeResults(
      'bake-cost',
      'What a bake takes of a core',
      ['figures by', 'watched', 'not watched', 'of a core'],
      rows,
      how,
    )
  } finally {
    await rehearsal.close()
  }
}

await main()
