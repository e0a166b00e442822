/** How an attempt ended, in a sentence; where users are; how it is undone. Pure. */
import { seconds } from '../clock.ts'
import type { DeploymentRecord } from '../history/record.ts'

export type Tone = 'good' | 'bad' | 'warning' | 'neutral'

export interface Told {
  tone: Tone
  /** The outcome in a word or two. */
  verdict: string
  headline: string
  summary: string
  /** What to run next; of what users have, how they are brought back. */
  undo: { title: string; text: string; command?: string | undefined }
}

type Ended = Pick<Told, 'tone' | 'verdict' | 'headline'> & { users: string }

export function tell(record: DeploymentRecord): Told {
  const { users, ...said } = (endings[record.outcome] ?? unknownEnding)(record)
  return {
    ...said,
    summary: [users, cost(record), time(record)].filter(Boolean).join(' '),
    undo: undoOf(record),
  }
}

/** `1.0.0 (blue)`; a release without a color is just its version. */
export const sideName = (side: DeploymentRecord['from']): string => {
  if (!side) return 'nothing'
  return side.color === 'plain' ? side.version : `${side.version} (${side.color})`
}

const unknownEnding = ({ to, environment, outcome }: DeploymentRecord): Ended => ({
  tone: 'neutral',
  verdict: outcome,
  headline: `${to.version} in ${environment}: ${outcome}`,
  users: '',
})

/** Newer records may end otherwise. */
const endings: Readonly<Partial<Record<string, (record: DeploymentRecord) => Ended>>> = {
  succeeded: (record) => succeeded(record),
  superseded: ({ to, environment }) => ({
    tone: 'neutral',
    verdict: 'Superseded',
    headline: `${to.version} was live in ${environment}, until the next one`,
    users: 'Its watch was ended for the sake of another release: it is neither proven nor to blame.',
  }),
  released: ({ to, environment }) => ({
    tone: 'warning',
    verdict: 'Rolled back, allowed since',
    headline: `${to.version} was rolled back in ${environment}, and has been allowed again since`,
    users: 'A later deployment of the same image went well.',
  }),
  verified: ({ to, environment, from }) => ({
    tone: 'good',
    verdict: 'Verified',
    headline: `${to.version} is verified, and waits for its users in ${environment}`,
    users: stay(from),
  }),
  failed: ({ to, environment, from }) => ({
    tone: 'bad',
    verdict: 'Stopped',
    headline: `${to.version} was stopped before it reached anybody in ${environment}`,
    users: stay(from),
  }),
  'rolled-back': ({ to, environment, from }) => ({
    tone: 'bad',
    verdict: 'Rolled back',
    headline: `${to.version} was rolled back in ${environment}`,
    users: `Users are on ${sideName(from)} again.`,
  }),
  'taken-back': ({ to, environment, takenBack }) => ({
    tone: 'warning',
    verdict: 'Taken back',
    headline: `${to.version} was live in ${environment}, and was taken back`,
    users: takenBack
      ? `${takenBack.by} went back from it${takenBack.reason ? `: ${takenBack.reason}` : ''}.`
      : '',
  }),
  interrupted: ({ to, environment, message }) => ({
    tone: 'warning',
    verdict: 'Interrupted',
    headline: `${to.version} was interrupted in ${environment}`,
    users: message ? 'It has been cleared up.' : '',
  }),
  'needs-person': ({ to, environment }) => ({
    tone: 'bad',
    verdict: 'Needs a person',
    headline: `${to.version} in ${environment} needs a person`,
    users: 'Neither going on nor going back ended as it should; what to run is below.',
  }),
  open: ({ to, environment }) => ({
    tone: 'warning',
    verdict: 'Not ended',
    headline: `${to.version} in ${environment} has not ended`,
    users: 'It is under way, or was stopped in the middle. The next command finishes or undoes it.',
  }),
}

const stay = (from: DeploymentRecord['from']): string =>
  from ? `Users stayed on ${sideName(from)}.` : 'Nobody is served yet.'

function succeeded({ kind, to, from, environment, message }: DeploymentRecord): Ended {
  const good = { tone: message === undefined ? 'good' : 'warning', verdict: 'Live' } as const
  if (kind === 'rollback')
    return {
      ...good,
      verdict: 'Back',
      headline: `${environment} is back on ${to.version}`,
      users: from ? `Users left ${sideName(from)}.` : '',
    }
  if (kind === 'switch')
    return { ...good, headline: `Users of ${environment} were moved to ${to.version}`, users: '' }
  const first = 'It is the first release here.'
  const users = from ? `It replaced ${sideName(from)}.` : first
  return { ...good, headline: `${to.version} is live in ${environment}`, users }
}

/** All requests that users lost, at every switch of the record. */
export function lost({ switches }: DeploymentRecord): { failures: number; requests: number } {
  const sum = (of: 'failures' | 'requests'): number => switches.reduce((all, proof) => all + proof[of], 0)
  return { failures: sum('failures'), requests: sum('requests') }
}

function cost(record: DeploymentRecord): string {
  const { failures, requests } = lost(record)
  if (requests === 0) return ''
  if (failures === 0) return `No request was lost, of ${figure(requests)} that were watched.`
  return `${figure(failures)} of ${figure(requests)} watched requests ${failures === 1 ? 'was' : 'were'} lost.`
}

/** ms from the beginning to the end; undefined of one that has not ended. */
export function tookOf({ startedAt, finishedAt }: DeploymentRecord): number | undefined {
  const ms = Date.parse(finishedAt ?? '') - Date.parse(startedAt)
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined
}

function time(record: DeploymentRecord): string {
  const ms = tookOf(record)
  return ms === undefined ? '' : `It took ${seconds(ms)}.`
}

/** `1,234` */
export const figure = (value: number): string => value.toLocaleString('en-US')

function undoOf(record: DeploymentRecord): Told['undo'] {
  const { outcome, kind, environment: env, to, from } = record
  if (outcome === 'succeeded' && kind !== 'rollback' && from)
    return {
      title: 'How to undo it',
      text: `While ${to.version} is live, one command brings back what was before:`,
      command: `bun scripts/rollback-deployment.ts --env ${env} --reason "…"`,
    }
  return { title: 'What to do next', ...nextOf(record) }
}

function nextOf({ outcome, environment: env, from, id }: DeploymentRecord): Omit<Told['undo'], 'title'> {
  const deploy = `bun scripts/deploy.ts --env ${env}`
  if (outcome === 'open' || outcome === 'needs-person')
    return {
      text: 'To finish or undo what was left:',
      command: `bun scripts/deployment-status.ts --env ${env} --repair`,
    }
  if (outcome === 'verified')
    return { text: 'Nothing has moved. To open it to users:', command: `${deploy} --resume ${id}` }
  // No command that is printed leads back to what was left (S9).
  const none = 'There is nothing to undo. The next version goes the usual way:'
  const first = 'It is the first release: there is none to go back to. To replace it:'
  return { text: outcome === 'succeeded' && !from ? first : none, command: `${deploy} --version …` }
}
