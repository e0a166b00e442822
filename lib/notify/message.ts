/** What is said, whatever the channel: made of a record, and of nothing else. Pure. */
import type { CheckResult } from '../check.ts'
import { seconds } from '../clock.ts'
import { HIDDEN, type Secrets } from '../secrets.ts'
import type { Level, State } from '../settings/notify.ts'
import { plain } from '../text.ts'
import { table, type Subject } from './states.ts'

export interface Message {
  /** The same for every try, so that a receiver can sort out repeats. */
  id: string
  /** Of the record: what belongs together. */
  record: string
  state: State
  level: Level
  /** ISO 8601: when it came to this state, not when it is sent. */
  at: string
  app: string
  environment: string
  title: string
  facts: { name: string; value: string }[]
  why?: string
  /** Those that did not pass. */
  checks: { name: string; expected: string; seen: string; evidence: string[] }[]
  /** How many more there are than are told. */
  moreChecks: number
  next?: { what: string; command: string }
  link?: string
  /** An earlier try was not confirmed: it may have come. */
  repeated: boolean
  /** Nothing has happened: somebody tries the channel out. */
  example: boolean
}

/** Characters that are told of each, so that every channel's limit holds. */
const LENGTH = { word: 80, fact: 300, why: 1500, check: 200, link: 1000 }

const CHECKS = 6

export interface Told {
  state: State
  /** ISO 8601 */
  at: string
  /** What the run said at its end, which is more than its record says. */
  about?: string | undefined
}

export interface Around {
  /** With `{id}` and `{environment}`. */
  reportUrl?: string | undefined
  secrets?: Secrets | undefined
}

export function messageOf(subject: Subject, { state, at, about }: Told, around: Around = {}): Message {
  const clean = cleaner(around)
  const { level, title } = table[state]
  const short = shortened(subject, clean)
  const bad = state === 'started' || level === 'info' ? [] : failing(subject)
  const why = about ?? (level === 'info' ? undefined : subject.message)
  const link = around.reportUrl && linkTo(around.reportUrl, subject)
  return {
    id: `${subject.id}.${state}`,
    record: subject.id,
    state,
    level,
    at,
    app: subject.app,
    environment: subject.environment,
    title: `${short.app}: ${title(short)}`,
    facts: facts(short, state, clean),
    ...(why && { why: clean(why, LENGTH.why) }),
    checks: bad.slice(0, CHECKS).map((check) => told(check, clean)),
    moreChecks: Math.max(0, bad.length - CHECKS),
    ...next(subject, state),
    ...(link && { link }),
    repeated: false,
    example: false,
  }
}

type Clean = (text: string, longest: number) => string

/** A secret is taken out before the text is cut: half of one would be found no more. */
const cleaner =
  ({ secrets }: Around): Clean =>
  (text, longest) =>
    plain(secrets ? secrets.redact(text) : text, longest)

/** What stands in a title is a word or two. */
function shortened(subject: Subject, clean: Clean): Subject {
  const { app, environment, by, to, from } = subject
  const word = (text: string): string => clean(text, LENGTH.word)
  return {
    ...subject,
    app: word(app),
    environment: word(environment),
    by: word(by),
    to: { ...to, version: word(to.version) },
    from: from && { ...from, version: word(from.version) },
  }
}

const failing = ({ checks }: Subject): CheckResult[] =>
  checks.filter(({ verdict }) => verdict === 'failed' || verdict === 'inconclusive')

function told(
  { gate, name, expected, seen, evidence = [] }: CheckResult,
  clean: Clean,
): Message['checks'][number] {
  return {
    name: clean(`${gate}: ${name}`, LENGTH.check),
    expected: clean(expected, LENGTH.check),
    seen: clean(seen, LENGTH.check),
    evidence: evidence.slice(0, 2).map((file) => clean(file, LENGTH.check)),
  }
}

function facts(subject: Subject, state: State, clean: Clean): Message['facts'] {
  const { from, to, by, reason, finishedAt, startedAt, drift, override, superseded, environment, id } =
    subject
  const ended = table[state].ends && finishedAt
  const known: [string, string | undefined][] = [
    ['where', environment],
    ['version', `${from ? `${from.version} (${from.color})` : 'nothing'} → ${to.version} (${to.color})`],
    ['who', by],
    ['reason', reason],
    ['superseded by', superseded && `${superseded.by}${superseded.reason ? `: ${superseded.reason}` : ''}`],
    ['overridden', override && `${override.reason}: ${override.missing.join('; ')}`],
    ['changed by hand before', drift],
    ['took', ended ? seconds(Date.parse(ended) - Date.parse(startedAt)) : undefined],
    ['users', state === 'started' || state === 'verified' ? undefined : harm(subject)],
    ['record', id],
  ]
  return known.flatMap(([name, value]) => (value ? [{ name, value: clean(value, LENGTH.fact) }] : []))
}

/** `12 of 110 requests failed (10.9 %), 24.1 s on 1.1.0`: by the witness, who stands for users. */
export function harm({ switches, steps, to, finishedAt, outcome }: Subject): string | undefined {
  const requests = switches.reduce((sum, proof) => sum + proof.requests, 0)
  const failures = switches.reduce((sum, proof) => sum + proof.failures, 0)
  if (requests === 0) return undefined
  const share = `${failures} of ${requests} requests failed (${((failures / requests) * 100).toFixed(1)} %)`
  const moved = steps.find(({ name }) => /^(Switch|Open|Roll out) /.test(name))
  const back = steps.find(({ name }) => name.startsWith('Roll back to '))
  if (outcome !== 'rolled-back' || !moved || !back) return `${share}, by the witness`
  const until = back.ms === undefined ? Date.parse(finishedAt ?? back.at) : Date.parse(back.at) + back.ms
  return `${share}, by the witness; ${seconds(until - Date.parse(moved.at))} until all were back from ${to.version}`
}

function next({ environment, id, outcome }: Subject, state: State): Pick<Message, 'next'> {
  const script = (name: string, flags = ''): string => `bun scripts/${name}.ts --env ${environment}${flags}`
  const look = { what: 'To see where users are', command: script('deployment-status') }
  const mend = { what: 'To finish or undo it', command: script('deployment-status', ' --repair') }
  const known: Partial<Record<State, NonNullable<Message['next']>>> = {
    switched: { what: 'To go back', command: script('rollback-deployment') },
    succeeded: { what: 'To go back', command: script('rollback-deployment') },
    ...(outcome === 'verified' && {
      verified: { what: 'To open it to users', command: script('deploy', ` --resume ${id}`) },
    }),
    stopped: { what: 'To see what was done', command: script('deployment-history') },
    'rolled-back': { what: 'To see what users met', command: script('deployment-history') },
    'rollback-failed': outcome === 'open' ? mend : look,
    'needs-person': outcome === 'open' ? mend : look,
    'lock-taken-over': look,
    environment: look,
  }
  const found = known[state]
  return found ? { next: found } : {}
}

function linkTo(template: string, { id, environment }: Subject): string | undefined {
  const address = template
    .replaceAll('{id}', encodeURIComponent(id))
    .replaceAll('{environment}', encodeURIComponent(environment))
  return address.length <= LENGTH.link && URL.canParse(address) && !address.includes(HIDDEN)
    ? new URL(address).href
    : undefined
}

/** What a terse channel shows: one line. */
export const headline = ({ example, title, repeated }: Message): string =>
  `${example ? '[example] ' : ''}${title}${repeated ? ' (repeated: the delivery was not confirmed)' : ''}`

/** As text, for people who read it by itself. */
export function asText(message: Message): string {
  const { facts: known, why, checks, moreChecks, next: then, link } = message
  return [
    headline(message),
    '',
    ...known.map(({ name, value }) => `${name}: ${value}`),
    ...(why ? ['', why] : []),
    ...(checks.length > 0 ? ['', 'Checks that did not pass:'] : []),
    ...checks.map(checkText).map((line) => `- ${line}`),
    ...(moreChecks > 0 ? [`- and ${moreChecks} more`] : []),
    ...(then ? ['', `${then.what}:`, `  ${then.command}`] : []),
    ...(link ? ['', `report: ${link}`] : []),
    '',
  ].join('\n')
}

export function checkText({ name, expected, seen, evidence }: Message['checks'][number]): string {
  const files = evidence.length > 0 ? ` (${evidence.join(', ')})` : ''
  return `${name}: expected ${expected}, saw ${seen}${files}`
}

/** As it is rendered, with fewer checks and less of a reason until the receiver takes it. Its end is what it is: the last try. */
export function fitted<T>(
  message: Message,
  render: (message: Message) => T,
  fits: (rendered: T) => boolean,
): T {
  const all = message.checks.length + message.moreChecks
  const less = [3, 0].map((count) => ({
    ...message,
    checks: message.checks.slice(0, count),
    moreChecks: Math.max(0, all - count),
  }))
  const least = { ...message, checks: [], moreChecks: all, why: plain(message.why ?? '', 300) }
  const tries = [message, ...less, least].map(render)
  return tries.find(fits) ?? render(least)
}
