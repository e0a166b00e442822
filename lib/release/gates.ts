/** The gates of one attempt: run, recorded, shown. */
import { join } from 'node:path'
import { checkLines, objections, type KeptCheck, type Target } from '../check.ts'
import { DeployError } from '../errors.ts'
import type { Attempt } from './attempt.ts'

type Where = Omit<Target, 'verification' | 'evidence'>

/** What is wrong at users' address before they are moved is noted: it is no release's. */
export async function noteUsers({ journal, gates, environment, signal, reports }: Attempt): Promise<void> {
  const { id } = journal.entry
  await gates.note?.({ url: environment.url, verification: id, evidence: join(reports, id, 'live') }, signal)
}

/**
 * Runs a part of the gates, keeps its results, shows them.
 * @param kept for `back`: the checks that the release went live with, where its record knows them
 * @throws DeployError (1) naming what did not pass
 */
export async function verify(
  { journal, gates, log, signal, reports }: Attempt,
  part: 'preview' | 'live' | 'back',
  where: Where,
  kept?: readonly KeptCheck[],
): Promise<void> {
  const { id } = journal.entry
  const target = { ...where, verification: id, evidence: join(reports, id, part) }
  const gate = part === 'back' ? gates.back(kept) : gates[part]
  const results = (await gate(target, signal, (state) => log.progress(state))).map((result) => ({
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
