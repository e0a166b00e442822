#!/usr/bin/env bun
/**
 * Writes what the records say all together: how often, how fast and how safely each environment is changed. Reads the
 * cluster's records, and those of an archive, which outlive them. Changes nothing but files: the page, and the archive.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { common, data, main, realWorld, reports, text, type Run } from '../lib/cli/cli.ts'
import { DeployError, Exit, sentence } from '../lib/errors.ts'
import { history } from '../lib/history/store.ts'
import { known } from '../lib/report/known.ts'
import { trendsPage } from '../lib/report/trends-page.ts'
import { trendsOf } from '../lib/report/trends.ts'

const usage = `Usage: bun scripts/deployment-trends.ts --env NAME[,NAME...] [flags]

  Writes index.html: success rate, DORA's five figures, rollbacks by reason,
  slowest steps, checks that fail, and each release with its report.

  --env NAMES      environments in deploy.yaml, with commas between them
  --archive DIR    where records outlive the cluster's, which are written there
                   as well; default: archive in deploy.yaml
  --days N         how far back it looks; default 90
  --out DIR        where index.html goes, and reports are; default reports
  --config FILE    default deploy.yaml
  --json           the figures on standard output

Exit: 0 written, 1 no environment could be read, 2 usage or configuration
`

const options = {
  ...common,
  archive: { type: 'string' },
  days: { type: 'string' },
  out: { type: 'string' },
} as const

if (import.meta.main) {
  await main(usage, options, async (script) => {
    const { flags, log } = script
    const days = Number(text(flags, 'days') ?? '90')
    if (!Number.isInteger(days) || days < 1) throw new DeployError('--days is a number from 1', Exit.usage)
    const names = text(flags, 'env')?.split(',').filter(Boolean) ?? [undefined]
    const worlds = names.map((env) => realWorld({ ...script, flags: { ...flags, env } }))
    const now = Date.now()
    const missing: string[] = []
    const environments = []
    for (const world of worlds) {
      const { name, archive } = world.environment
      const kept = await history(world).catch((error: unknown) => unreadable(script, name, error, missing))
      const { found, notes } = await known(
        world,
        kept,
        text(flags, 'archive') ?? archive,
        now - days * 86_400_000,
      )
      missing.push(...notes)
      environments.push({
        trends: trendsOf(name, found, now, days),
        records: found.map(({ record }) => record),
      })
    }
    const out = reports(flags)
    const all = environments.flatMap(({ records }) => records)
    if (all.length === 0 && missing.length > 0) throw new DeployError(missing.join('\n'))
    const reported = new Set(all.map(({ id }) => id).filter((id) => existsSync(join(out, id, 'report.html'))))
    const app = worlds[0]?.environment.app ?? ''
    const page = trendsPage({ app, environments, reported, missing, madeAt: new Date(now).toISOString() })
    mkdirSync(out, { recursive: true })
    writeFileSync(join(out, 'index.html'), page)
    log.print(join(out, 'index.html'))
    if (flags.json) data(environments.map(({ trends }) => trends))
  })
}

/** An environment whose cluster is away has its archive still. */
function unreadable({ log, signal }: Run, name: string, error: unknown, missing: string[]): [] {
  signal.throwIfAborted()
  const why = `The cluster's records of ${name} could not be read: ${sentence(error)}`
  log.warn(why)
  missing.push(why)
  return []
}
