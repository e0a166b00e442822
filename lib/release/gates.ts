/** The gates of one attempt: run, recorded, shown. */
import { join } from 'node:path'
import { checkLines, objections, type Gates, type Target } from '../check.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'
import type { Journal } from '../history/journal.ts'

/** Runs a part of the gates, keeps its results, shows them. @throws DeployError (1) naming what did not pass */
export async function pass(
  world: World,
  journal: Journal,
  gates: Gates,
  part: 'preview' | 'live' | 'back',
  where: Omit<Target, 'verification' | 'evidence'>,
): Promise<void> {
  const { id } = journal.entry
  const { log, signal, reports } = world
  const target = { ...where, verification: id, evidence: join(reports, id, part) }
  const results = (await gates[part](target, signal, (state) => log.progress(state))).map((result) => ({
    ...result,
    ...(result.evidence && { evidence: result.evidence.map((file) => join(part, file)) }),
  }))
  journal.entry.checks.push(...results)
  for (const line of checkLines(results)) log.info(line)
  const bad = objections(results)
  if (bad.length === 0) return
  log.info(`evidence: ${join(reports, id)}`)
  const list = bad.map(({ gate: kind, name, verdict, seen }) => `${kind}: ${name}: ${verdict}: ${seen}`)
  throw new DeployError(`${bad.length} of ${results.length} checks did not pass: ${list.join('; ')}`)
}
