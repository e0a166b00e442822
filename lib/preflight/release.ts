/** The boxes about the release itself: what its commit went through, and what it changes. */
import { askOnce } from '../http.ts'
import { DeployError } from '../errors.ts'
import type { Shell } from '../command.ts'
import { judgeApi } from './api-changes.ts'
import { failed, passed, unknown, worst, type Finding } from './box.ts'
import { fileAt, matching, short, type Change } from './change.ts'
import { checksOf, judgeChecks } from './checks.ts'
import type { Facts, Proof } from './facts.ts'
import { judgeMigration } from './migration.ts'

const FIRST = 'nothing is live yet'

/** What a proof says. Pure. */
export function judgeProof({ held, missing }: Proof, next: string): Finding {
  if (missing.length > 0) return failed(missing.join('; '), next)
  return held.length > 0 ? passed(held.join(', ')) : unknown('nothing is known of it', next)
}

/** By GitHub's checks where they are named, else by the stages' results beside the image. */
export async function judgeTests(facts: Facts): Promise<Finding> {
  const { ci } = facts.settings
  const next = 'make deploy-staging runs the stages, or --ack tests "<reason>"'
  if (!ci) return judgeProof(await facts.tests, next)
  return judgeChecks(await checksOf(ci, await facts.commit, facts), ci.checks)
}

export async function judgeScan({ scan }: Pick<Facts, 'scan'>): Promise<Finding> {
  return judgeProof(await scan, 'bun scripts/security-scan.ts --release, or --ack scan "<reason>"')
}

export async function judgeStaging({ staging }: Pick<Facts, 'staging'>): Promise<Finding> {
  if (staging)
    return judgeProof(await staging, 'make deploy-staging with this image, or --ack staging "<reason>"')
  return unknown(
    'deploy.yaml names no environment that is passed before this one',
    'requires: { passed: staging }, or --ack staging "<reason>"',
  )
}

export async function judgeMigrations({ settings, change, world }: Facts): Promise<Finding> {
  const { migrations } = settings
  const next = '--ack migrations "<reason>"'
  if (migrations === false) return passed('the application has no database')
  if (!migrations)
    return unknown('deploy.yaml does not say where they are', `preflight.migrations.files, or ${next}`)
  const changed = await change
  if (!changed) return passed(`${FIRST}: no version runs on the database`)
  const files = matching(changed, migrations.files)
  if (files.length === 0) return passed(`none since ${short(changed.from)}`)
  if (migrations.dialect !== 'postgresql')
    return unknown(`${told(files)}: only PostgreSQL's can be judged`, next)
  const findings = await Promise.all(files.map((file) => judgeFile(file, changed, world.shell)))
  return worst(findings, unknown('nothing was judged', next))
}

async function judgeFile(
  { path, status }: Change['files'][number],
  { to }: Change,
  shell: Shell,
): Promise<Finding> {
  const next = 'add a new file instead, or --ack migrations "<reason>"'
  if (status !== 'added') return unknown(`${path} was ${status}, and may have been applied already`, next)
  const found = await judgeMigration(await fileAt(to, path, shell), shell)
  return { ...found, why: `${path} ${found.why}` }
}

const told = (files: Change['files']): string => files.map(({ path }) => path).join(', ')

export async function judgeApiOf(facts: Facts): Promise<Finding> {
  const { api } = facts.settings
  const next = '--ack api "<reason>"'
  if (api === false) return passed('the application has no API that others call')
  if (!api) return unknown('deploy.yaml does not say where it is described', `preflight.api.file, or ${next}`)
  const change = await facts.change
  if (!change) return passed(`${FIRST}: nobody calls it`)
  const { shell } = facts.world
  const [before, after] = await Promise.all([
    api.live === undefined ? fileAt(change.from, api.file, shell) : answered(facts, api.live),
    fileAt(change.to, api.file, shell),
  ])
  return judgeApi({ before, after })
}

/** What users' address answers with. */
async function answered({ world }: Facts, path: string): Promise<string> {
  const url = new URL(path, world.environment.url)
  const answer = await askOnce(url, { within: 10_000, most: 10_000_000, signal: world.signal })
  if ('failure' in answer) throw new DeployError(`${url.href} does not answer: ${answer.failure}`)
  if (answer.status !== 200 || answer.cut) throw new DeployError(`${url.href} answers ${answer.status}`)
  return answer.text
}

export async function judgeDocs({ settings: { docs }, change }: Facts): Promise<Finding> {
  const next = '--ack docs "<reason>"'
  if (docs === false) return passed('the application has no documentation')
  if (!docs) return unknown('deploy.yaml does not say where it is', `preflight.docs, or ${next}`)
  const changed = await change
  if (!changed) return passed(FIRST)
  const files = matching(changed, docs)
  if (files.length > 0) return passed(`${files.length} files of it since ${short(changed.from)}`)
  if (changed.files.length === 0) return passed('nothing has changed')
  return unknown(
    `${changed.files.length} files since ${short(changed.from)}, none of ${docs.join(', ')}`,
    next,
  )
}
