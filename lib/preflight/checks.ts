/** What GitHub says of a commit: https://docs.github.com/rest/checks/runs */
import { z } from 'zod'
import { DeployError } from '../errors.ts'
import { askOnce } from '../http.ts'
import { parseJson } from '../json.ts'
import { failed, passed, unknown, type Finding } from './box.ts'
import type { Facts } from './facts.ts'

const run = z.object({ name: z.string(), status: z.string(), conclusion: z.string().nullish() })
const page = z.object({ total_count: z.number(), check_runs: z.array(run) })

export type CheckRun = z.infer<typeof run>

type Ci = NonNullable<Facts['settings']['ci']>

const PAGE = 100

/** More than this is no commit's. */
const PAGES = 10

/** @throws DeployError where it does not answer, or not with checks */
export async function checksOf(
  { repository, api, token }: Ci,
  commit: string,
  { variables, world }: Pick<Facts, 'variables' | 'world'>,
): Promise<CheckRun[]> {
  const secret = variables[token]
  const headers = {
    accept: 'application/vnd.github+json',
    'user-agent': 'deploy-scripts',
    ...(secret && { authorization: `Bearer ${secret}` }),
  }
  const found: CheckRun[] = []
  for (let number = 1; number <= PAGES; number++) {
    const url = new URL(
      `${api}/repos/${repository}/commits/${commit}/check-runs?per_page=${PAGE}&page=${number}`,
    )
    const answer = await askOnce(url, { headers, within: 15_000, most: 5_000_000, signal: world.signal })
    if ('failure' in answer) throw new DeployError(`${url.host} does not say: ${answer.failure}`)
    const parsed = page.safeParse(parseJson(answer.text))
    const hint = secret ? '' : ` (${token} is not set)`
    if (answer.status !== 200 || !parsed.success)
      throw new DeployError(`${url.host} answers ${answer.status} for the checks of ${repository}${hint}`)
    found.push(...parsed.data.check_runs)
    if (found.length >= parsed.data.total_count || parsed.data.check_runs.length === 0) return found
  }
  throw new DeployError(`${repository} has more than ${PAGE * PAGES} checks of one commit`)
}

const GOOD = ['success', 'neutral', 'skipped']

/** Pure. No check at all says nothing. */
export function judgeChecks(runs: readonly CheckRun[], wanted: readonly string[]): Finding {
  const next = 'let CI pass for this commit, or --ack tests "<reason>"'
  const bad = runs.filter(
    ({ status, conclusion }) => status === 'completed' && !GOOD.includes(conclusion ?? ''),
  )
  if (bad.length > 0)
    return failed(
      bad.map(({ name, conclusion }) => `${name}: ${conclusion ?? 'no conclusion'}`).join(', '),
      next,
    )
  const missing = wanted.filter(
    (name) => !runs.some((one) => one.name === name && one.conclusion === 'success'),
  )
  const running = runs.filter(({ status }) => status !== 'completed').map(({ name }) => name)
  if (running.length > 0) return failed(`not finished: ${running.join(', ')}`, next)
  if (missing.length > 0) return failed(`not passed: ${missing.join(', ')}`, next)
  if (!runs.some(({ conclusion }) => conclusion === 'success'))
    return unknown('no check of this commit has passed', next)
  return passed(`${runs.length} checks of this commit`)
}
