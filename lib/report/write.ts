/** Reports are written where evidence is, and told where people look. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSummary } from '../cli/github.ts'
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import { field } from '../json.ts'
import { archive, isLasting } from './archive.ts'
import { gather, type Report } from './gather.ts'
import { reportMarkdown } from './markdown.ts'
import { reportPage } from './page.ts'

/** An id is a ULID: a record that names another file than its own folder's is none of ours. */
const ID = /^[\w][\w.-]{0,100}$/

/** Writes `report.html`, `report.md` and `report.json` into the record's folder. @returns the page's path */
export function writeReport(report: Report, folder: string): string {
  const { id } = report.record
  if (!ID.test(id)) throw new Error(`"${id}" names no folder`)
  const place = join(folder, id)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'report.html'), reportPage(report))
  writeFileSync(join(place, 'report.md'), reportMarkdown(report))
  writeFileSync(join(place, 'report.json'), reportJson(report))
  return join(place, 'report.html')
}

/** Pictures are named, not repeated. */
function reportJson({ evidence, ...rest }: Report): string {
  const screenshots = evidence.screenshots.map(({ file, check }) => ({ file, check }))
  return `${JSON.stringify({ ...rest, evidence: { ...evidence, screenshots } }, undefined, 2)}\n`
}

/**
 * A report of every record that a run has written to. Never throws, and changes no exit code: what it reports has
 * happened, whatever becomes of this.
 */
export async function reportRun(world: World): Promise<void> {
  const { written = new Set<unknown>(), environment, reports, log } = world
  // Whoever went back waits for no registry.
  const ask = ![...written].some((entry) => field(entry, 'kind') === 'rollback')
  for (const entry of written) {
    try {
      const report = await gather(entry, world, { ask })
      if (!report) continue
      log.info(`report: ${writeReport(report, reports)}`)
      writeSummary(reportMarkdown(report), process.env)
      if (environment.archive !== undefined && isLasting(report.record)) archive(environment.archive, report)
    } catch (error) {
      log.warn(`The report could not be written: ${sentence(error)}`)
    }
  }
}
