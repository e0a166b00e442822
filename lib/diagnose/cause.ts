/** What may be wrong, and in which order it is told. Pure. */
import { commandLine } from '../command.ts'
import { plain } from '../text.ts'
import type { Scene } from './seen.ts'

/** The three troubles of a deployment. */
export const troubles = ['checks fail', 'traffic does not switch', 'many errors'] as const
export type Trouble = (typeof troubles)[number]

/**
 * What can be found, from what explains others to what is explained by them: a database that is away makes pods
 * unready, which leaves the Service without endpoints, so that the address does not answer.
 */
const DEEPEST_FIRST = [
  'no-service',
  'selector',
  'moved-by-hand',
  'overwritten',
  'stray-pods',
  'foreign-endpoints',
  'pods-refused',
  'image',
  'configuration',
  'no-node',
  'out-of-memory',
  'target-port',
  'network-policy',
  'migration',
  'database',
  'dependency',
  'schema',
  'crash',
  'probe',
  'cpu-limit',
  'not-ready',
  'scaled-down',
  'endpoints',
  'dns',
  'address-elsewhere',
  'address-silent',
  'one-pod',
  'release-errors',
  'slow',
  'checks',
  'waits-for-resume',
  'hold',
  'abandoned',
  'under-way',
  'kept-connections',
] as const
export type CauseId = (typeof DEEPEST_FIRST)[number]

export interface Cause {
  id: CauseId
  trouble: Trouble
  /** One sentence. */
  what: string
  /** `possible` is told, and makes nothing sick. */
  certainty: 'certain' | 'likely' | 'possible'
  /** Whether users meet it, or would meet it in the next moment. */
  users: boolean
  evidence: readonly string[]
  /** The command to paste next. */
  next: string
}

/** The true one first: what is only possible goes last, what users meet goes first, then the deepest. */
export function ranked(causes: readonly Cause[]): Cause[] {
  const order = ({ certainty, users, id }: Cause): number =>
    (certainty === 'possible' ? 1000 : 0) + (users ? 0 : 100) + DEEPEST_FIRST.indexOf(id)
  return causes
    .toSorted((a, b) => order(a) - order(b))
    .map((cause) => ({
      ...cause,
      what: plain(cause.what, 300),
      evidence: [...new Set(cause.evidence)]
        .filter(Boolean)
        .slice(0, 6)
        .map((line) => plain(line, 240)),
    }))
}

type Site = Scene['site']

/** kubectl as it is pasted: with its context and namespace. */
export const kubectl = ({ context, namespace }: Site, ...words: string[]): string =>
  commandLine(['kubectl', `--context=${context}`, `--namespace=${namespace}`, ...words])

export const script = ({ name }: Site, what: string, ...words: string[]): string =>
  commandLine(['bun', `scripts/${what}.ts`, '--env', name, ...words])

export const describePod = (site: Site, pod: string): string => kubectl(site, 'describe', 'pod', pod)

export const logsOf = (site: Site, pod: string, ...flags: string[]): string =>
  kubectl(site, 'logs', pod, '--all-containers', '--tail=100', ...flags)
