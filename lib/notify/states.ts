/** What each state is called, how bad it is, and which state a record is in. Pure. */
import type { DeploymentRecord } from '../history/record.ts'
import type { Level, State, Wanted } from '../settings/notify.ts'

/** What a record may hold of what comes after the switch. */
interface Later {
  bake?: { verdict?: string | undefined } | undefined
  superseded?: { by: string; at: string; record: string; reason?: string | undefined } | undefined
}

export type Subject = Omit<DeploymentRecord, keyof Later> & Later

interface About {
  level: Level
  /** Nothing follows it in this attempt. */
  ends: boolean
  /** Of a Kubernetes Event. */
  reason: string
  title: (subject: Subject) => string
}

const deploys = ({ kind }: Subject): boolean => kind !== 'rollback'

export const table: Record<State, About> = {
  started: {
    level: 'info',
    ends: false,
    reason: 'DeploymentStarted',
    title: (s) =>
      deploys(s)
        ? `Deploying ${s.to.version} to ${s.environment}`
        : `Going back to ${s.to.version} in ${s.environment}`,
  },
  verified: {
    level: 'info',
    ends: false,
    reason: 'DeploymentVerified',
    title: ({ to, environment }) => `${to.version} has passed its checks in ${environment}`,
  },
  switched: {
    level: 'info',
    ends: false,
    reason: 'TrafficSwitched',
    title: ({ to, environment }) => `Users of ${environment} are on ${to.version}`,
  },
  baking: {
    level: 'info',
    ends: false,
    reason: 'DeploymentBaking',
    title: ({ to, environment }) => `${to.version} is being watched in ${environment}`,
  },
  succeeded: {
    level: 'info',
    ends: true,
    reason: 'DeploymentSucceeded',
    title: ({ to, environment }) => `${to.version} is live in ${environment}`,
  },
  stopped: {
    level: 'warning',
    ends: true,
    reason: 'DeploymentStopped',
    title: ({ to, environment }) => `${to.version} did not go live in ${environment}`,
  },
  'rolled-back': {
    level: 'critical',
    ends: true,
    reason: 'DeploymentRolledBack',
    title: ({ to, environment }) => `${to.version} was rolled back in ${environment}`,
  },
  'rolled-back-by-hand': {
    level: 'critical',
    ends: true,
    reason: 'RolledBackByHand',
    title: ({ to, environment, by }) => `${by} went back to ${to.version} in ${environment}`,
  },
  'rollback-failed': {
    level: 'critical',
    ends: true,
    reason: 'RollbackFailed',
    title: ({ environment }) => `The rollback failed in ${environment}`,
  },
  'needs-person': {
    level: 'critical',
    ends: true,
    reason: 'NeedsPerson',
    title: ({ to, environment }) => `${environment} needs a person: ${to.version}`,
  },
  'lock-taken-over': {
    level: 'warning',
    ends: true,
    reason: 'LockTakenOver',
    title: ({ to, environment }) => `Somebody else took over from ${to.version} in ${environment}`,
  },
  superseded: {
    level: 'warning',
    ends: true,
    reason: 'DeploymentSuperseded',
    title: ({ to, environment }) => `${to.version} was superseded in ${environment}`,
  },
  environment: {
    level: 'critical',
    ends: false,
    reason: 'EnvironmentUnwell',
    title: ({ to, environment }) =>
      `${environment} is unwell, and going back from ${to.version} would not help`,
  },
}

/** As `way-back.ts` and `rolling.ts` close a record whose automatic rollback did not work. */
const WAY_BACK_FAILED = /; and the rollback failed: /

/** By the outcome: of a deployment or a switch, and of a rollback. */
const ENDED: Partial<Record<string, readonly [State, State]>> = {
  verified: ['verified', 'verified'],
  succeeded: ['succeeded', 'rolled-back-by-hand'],
  // It was live, and somebody has gone back from it since: that is told by a record of its own.
  'taken-back': ['succeeded', 'rolled-back-by-hand'],
  'rolled-back': ['rolled-back', 'rolled-back'],
  released: ['rolled-back', 'rolled-back'],
  failed: ['stopped', 'rollback-failed'],
  interrupted: ['stopped', 'rollback-failed'],
  superseded: ['superseded', 'superseded'],
}

/** The state that a record says it is in. */
export function stateOf(subject: Subject): State {
  const { outcome, superseded, message = '' } = subject
  if (superseded) return 'superseded'
  if (outcome === 'open') return whileOpen(subject)
  const [deployed, back] = ENDED[outcome] ?? []
  const known = deploys(subject) ? deployed : back
  return known ?? (WAY_BACK_FAILED.test(message) ? 'rollback-failed' : 'needs-person')
}

function whileOpen({ bake }: Subject): State {
  if (!bake) return 'started'
  return bake.verdict === 'environment' ? 'environment' : 'baking'
}

/** Whether a channel wants to be told. `verified` ends what is deployed in two commands. */
export function isWanted(wanted: readonly Wanted[], state: State, ends: boolean): boolean {
  return wanted.some(
    (one) => one === 'all' || one === state || one === table[state].level || (one === 'outcome' && ends),
  )
}
