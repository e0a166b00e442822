/** Many errors after a deployment: which color and which pods, since when, and what they cannot reach. Pure. */
import type { Place } from '../app/color.ts'
import {
  answersOf,
  called,
  hasManyErrors,
  isWrong,
  places,
  podsOf,
  sickness,
  stateOf,
  wayBack,
  type Case,
} from './case.ts'
import { kubectl, logsOf, script, type Cause } from './cause.ts'
import { errorLines, grouped, groupLine, recent, told } from './logs.ts'
import { keepsFrom } from './network.ts'
import { cpuLimit } from './pods.ts'
import type { LogLine } from './seen.ts'

const base = { trouble: 'many errors', certainty: 'likely' } as const

export function errorCauses(about: Case): Cause[] {
  return [
    ...unreachable(about),
    ...places(about).flatMap((place) => [
      ...schema(about, place),
      ...onePod(about, place),
      ...ofRelease(about, place),
      ...slow(about, place),
    ]),
  ]
}

/** What a program says that did not reach another, in the words of many libraries. */
const UNREACHABLE =
  /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|connection (refused|timed out|terminated)|unable to (connect|open database)|could not (connect|translate host)|no such host|name or service not known|no answer within|failed to connect|(acquire|pool|connect(ion)?) timeout|connection closed/i
const REFUSED =
  /password authentication failed|access denied for user|too many (clients|connections)|remaining connection slots|role "[^"]*" does not exist|database "[^"]*" does not exist/i
const DATABASE =
  /database|postgres|mysql|mariadb|mongo|redis|\bsql|:5432\b|:3306\b|:27017\b|:6379\b|\bpg\b|connection slots/i
const HOST_PORT = /\b((?:[a-z0-9-]+\.)*[a-z0-9-]+):(\d{2,5})\b/i

/** A database or another service that pods do not reach, and from where. */
function unreachable(about: Case): Cause[] {
  const found = places(about).flatMap((place) =>
    recent(about.logs[place] ?? [], about.now)
      .filter(({ text }) => UNREACHABLE.test(text) || REFUSED.test(text))
      .map((line) => ({ ...line, place })),
  )
  return (['database', 'dependency'] as const).flatMap((id) => {
    const lines = found.filter(
      ({ text }) => (id === 'database') === (DATABASE.test(text) || REFUSED.test(text)),
    )
    const cause = lines.length > 0 && unreachedBy(about, id, lines)
    return cause ? [cause] : []
  })
}

function unreachedBy(
  about: Case,
  id: 'database' | 'dependency',
  lines: readonly (LogLine & { place: Place })[],
): Cause | undefined {
  const { site, live } = about
  const from = [...new Set(lines.map(({ place }) => place))]
  const ill = from.filter((place) => sickness(about, place).length > 0)
  const pods = [...new Set(lines.map(({ pod }) => pod))]
  const [first] = lines
  // What was lost and came back again, while a pod started, is nothing.
  if (!first || ill.length === 0) return undefined
  const nodes = [...new Set(pods.flatMap((pod) => about.pods.get(pod)?.spec.nodeName || []))]
  const others = places(about).filter(
    (place) => !from.includes(place) && stateOf(about, place).ready.length > 0,
  )
  const name = id === 'database' ? 'the database' : 'another service'
  const both = from.length > 1 ? 'both colors' : called(about, from[0] ?? 'plain')
  const [, host, port] = HOST_PORT.exec(lines.map(({ text }) => told(text)).join('\n')) ?? []
  const pod = about.pods.get(first.pod)
  const shut = port !== undefined && pod ? keepsFrom(about, pod, Number(port)) : []
  return {
    ...base,
    id,
    what: `${name}${host === undefined ? '' : ` (${host}:${port})`} is not reached, or refuses, from ${both}`,
    users: live !== undefined && ill.includes(live),
    evidence: [
      ...grouped(lines).slice(0, 2).map(groupLine),
      `from ${pods.length} pods${nodes.length > 0 ? ` on ${nodes.join(', ')}` : ''}${others.length > 0 ? `; ${others.join(', ')} says nothing of it` : ''}`,
      shut.length > 0 ? `NetworkPolicy ${shut.join(', ')} lets nothing out to port ${port}` : '',
    ],
    next: shut.length > 0 ? kubectl(site, 'describe', 'networkpolicy', ...shut) : logsOf(site, first.pod),
  }
}

const SCHEMA =
  /(column|relation|table|view) "?[\w.]+"? does not exist|no such (column|table)|unknown column|table '[^']*' doesn't exist|has no column named|migrations? (missing|pending)/i

/** A schema that is not what the release expects: a migration that did not run, or ran for the other color. */
function schema(about: Case, place: Place): Cause[] {
  const lines = recent(about.logs[place] ?? [], about.now).filter(({ text }) => SCHEMA.test(text))
  const [first] = lines
  if (!first) return []
  const what = `${called(about, place)}: the database's schema is not the one that this release expects`
  const evidence = grouped(lines).slice(0, 3).map(groupLine)
  const next = script(about.site, 'deployment-history', '--limit', '3')
  return [{ ...base, id: 'schema', what, users: place === about.live, evidence, next }]
}

/** Fewer lines than this are not told at all. */
const FEW = 5

/** Errors of one pod alone, among several: its node, or what it keeps for itself. */
function onePod(about: Case, place: Place): Cause[] {
  const pods = podsOf(about, place)
  const errors = errorLines(about.logs[place] ?? [], about.now)
  const [only, ...others] = [...new Set(errors.map(({ pod }) => pod))]
  if (only === undefined || others.length > 0 || pods.length < 2 || errors.length < FEW) return []
  const node = about.pods.get(only)?.spec.nodeName
  const what = `${called(about, place)}: only ${only} of ${pods.length} pods logs errors`
  const evidence = [...grouped(errors).slice(0, 2).map(groupLine), node ? `it is on node ${node}` : '']
  const next = logsOf(about.site, only)
  const certainty = hasManyErrors(about, place) ? 'likely' : 'possible'
  return [{ ...base, certainty, id: 'one-pod', what, users: place === about.live, evidence, next }]
}

/** The release itself answers with errors or logs them; where the other color is well, going back helps. */
function ofRelease(about: Case, place: Place): Cause[] {
  const { site, live, observed } = about
  const errors = errorLines(about.logs[place] ?? [], about.now)
  const answers = answersOf(about, place)
  const wrong = answers.filter((answer) => isWrong(answer) && answer.failure === undefined)
  if (wrong.length === 0 && errors.length < FEW) return []
  const version = stateOf(about, place).release?.version ?? 'its release'
  const paths = [...Map.groupBy(wrong, ({ path, status }) => `${path} answers ${status}`)]
  const since = place === observed.switch?.to.color ? `users are there since ${observed.switch.at}` : ''
  const back = place === live ? wayBack(about) : undefined
  const [pod] = podsOf(about, place)
  return [
    {
      ...base,
      certainty: wrong.length > 0 || hasManyErrors(about, place) ? 'likely' : 'possible',
      id: 'release-errors',
      what: `${called(about, place)}: ${version} answers or logs errors`,
      users: place === live,
      evidence: [
        ...paths.slice(0, 3).map(([what, same]) => `${what} (${same.length} of ${answers.length} requests)`),
        ...grouped(errors).slice(0, 3).map(groupLine),
        since,
        back ? `${back} is well: going back helps` : '',
      ],
      next: back
        ? script(site, 'rollback-deployment', '--reason', `${version} answers with errors`)
        : pod
          ? logsOf(site, pod.metadata.name)
          : script(site, 'deployment-status'),
    },
  ]
}

/**
 * In ms: slower than `ms` is slow where nothing is compared with it. Where the other color was asked in the same moments,
 * even the quick answers must take `times` as long as its usual ones: a machine that is busy slows both down.
 */
const SLOW = { ms: 1000, times: 3, least: 200 } as const
/** Which of the answers, from the quickest on: noise only adds. */
const [QUICK, USUAL] = [0.25, 0.5]
/** A limit that is so much lower than the other color's is a reason. */
const LESS_CPU = 0.5

function slow(about: Case, place: Place): Cause[] {
  const { site, live, idle } = about
  const other = place === live ? idle : live
  const [mine, theirs] = [timeOf(about, place, QUICK), other && timeOf(about, other, USUAL)]
  if (mine === undefined) return []
  const slowly = theirs === undefined ? mine > SLOW.ms : mine > Math.max(SLOW.least, theirs * SLOW.times)
  // Both alike: it is what they share, the machine that asks among it, and nothing that either of them does.
  const alike = theirs !== undefined && !slowly && mine > SLOW.ms
  if (!slowly && !alike) return []
  const [limit, others] = [place, other].map(
    (one) => one && podsOf(about, one).flatMap((pod) => cpuLimit(pod) ?? [])[0],
  )
  const less = limit !== undefined && limit <= (others ?? 1) * LESS_CPU
  const evidence = [
    `three of four answers take longer than ${Math.round(mine)} ms${theirs === undefined ? '' : `, half of those of ${other} ${Math.round(theirs)} ms`}`,
    limit === undefined
      ? ''
      : `its CPU limit: ${limit}${others === undefined ? '' : `, that of ${other}: ${others}`}`,
  ]
  const [pod] = podsOf(about, place)
  const what = less
    ? `${called(about, place)} is throttled: it has ${limit} CPUs at most, and answers slowly`
    : `${called(about, place)} answers slowly`
  const next = kubectl(site, 'top', 'pod', ...(pod ? [pod.metadata.name] : []), '--containers')
  const certainty = alike ? 'possible' : 'likely'
  return [
    { ...base, certainty, id: less ? 'cpu-limit' : 'slow', what, users: place === live, evidence, next },
  ]
}

/** Of half of its paths, what all but such a share of the answers take at least; what is light tells nothing of the rest. */
function timeOf(about: Case, place: Place, share: number): number | undefined {
  const answered = answersOf(about, place).filter(({ failure }) => failure === undefined)
  const paths = Map.groupBy(answered, ({ path }) => path).values()
  const times = [...paths].flatMap(
    (same) =>
      atShare(
        same.map(({ ms }) => ms),
        share,
      ) ?? [],
  )
  return atShare(times, USUAL)
}

const atShare = (values: readonly number[], share: number): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]
