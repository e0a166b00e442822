/** kubectl's commands as values, named by the field's verbs. Pure. */
import type { Command } from '../command.ts'

export interface Scope {
  context: string
  namespace: string
}

/** Writes made under this name: what the project owns of an object. */
export const FIELD_MANAGER = 'deploy-scripts'

/** Owns the selectors of the live and the preview Service, and nothing else (design §4). */
export const SWITCH_MANAGER = 'deploy-scripts-switch'

/** A server that does not answer within this is taken for away; watches and waits have deadlines of their own. */
const REQUEST_TIMEOUT = '15s'

/**
 * What a user has set for kubectl in their own shell never changes what it does here: an external diff in color hides
 * every change of a plan, and kuberc can make `delete` ask, or give any verb other defaults and other names.
 * https://kubernetes.io/docs/reference/kubectl/kuberc/
 */
export const KUBECTL_VARIABLES = {
  KUBECTL_EXTERNAL_DIFF: 'diff -u -N',
  KUBERC: 'off',
  KUBECTL_KUBERC: 'false',
} as const

/** The same in a cluster and a namespace. */
export function scoped({ context, namespace }: Scope, [program, verb = '', ...rest]: Command): Command {
  const flags = [`--context=${context}`, `--namespace=${namespace}`, `--request-timeout=${REQUEST_TIMEOUT}`]
  return verb === 'kustomize' ? [program, verb, ...rest] : [program, ...flags, verb, ...rest]
}

const kubectl = (verb: string, ...words: readonly string[]): Command => ['kubectl', verb, ...words]

/** An answer as objects, to be parsed. */
const JSON_OUTPUT = ['-o', 'json']

/** From standard input. */
const INPUT = ['-f', '-']

/** For the project's own objects, whose form is known: without the download of the server's schema (150 ms). */
const UNCHECKED = '--validate=false'

/** Fields that others own are taken over: what the manifests say holds. */
const SERVER_SIDE = ['--server-side', '--force-conflicts', `--field-manager=${FIELD_MANAGER}`]

export const get = (resources: readonly string[], ...flags: string[]): Command =>
  kubectl('get', resources.join(','), ...flags, ...JSON_OUTPUT)

/** The kinds of an application's objects that decide, and where the API server has them. */
const OF_APP: Record<string, [kind: string, group: string]> = {
  services: ['Service', 'api/v1'],
  deployments: ['Deployment', 'apis/apps/v1'],
  replicasets: ['ReplicaSet', 'apis/apps/v1'],
  pods: ['Pod', 'api/v1'],
  horizontalpodautoscalers: ['HorizontalPodAutoscaler', 'apis/autoscaling/v1'],
  leases: ['Lease', 'apis/coordination.k8s.io/v1'],
}

/** Everything that decides: both Services, both colors, the lock. */
export const getApp = (app: string): Command => get(Object.keys(OF_APP), `--selector=app=${app}`)

export const getNamed = (...names: string[]): Command =>
  kubectl('get', ...names, '--ignore-not-found', ...JSON_OUTPUT)

/** What a pod answers, by way of the API server: nothing need be reachable from here. */
export const getFromPod = (namespace: string, pod: string, port: number, path: string): Command =>
  kubectl('get', `--raw=/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy${path}`)

/** What the cluster's metrics server says of an app's pods, where there is one. */
export const getUsage = (namespace: string, app: string): Command =>
  kubectl('get', `--raw=/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods?labelSelector=app%3D${app}`)

/** The API server on a socket, as far as it is about reading what `getApp` asks for, and what pods answer. */
export const proxyOfApp = ({ namespace }: Scope, socket: string): Command =>
  kubectl(
    'proxy',
    `--unix-socket=${socket}`,
    `--accept-paths=^/(${[...new Set(Object.values(OF_APP).map(([, group]) => group))].join('|')})` +
      `/namespaces/${namespace}/(${Object.keys(OF_APP).join('|')})($|/)`,
    '--reject-methods=^(POST|PUT|PATCH|DELETE)$',
  )

/** What a `get --raw` asks the API server for. */
export function rawPath(command: Command): string | undefined {
  const raw = command.includes('get') ? command.find((word) => word.startsWith('--raw=/api/')) : undefined
  return raw?.slice('--raw='.length)
}

/** The lists of which a `get` of such kinds by a selector is made, each with the kind that none of its items names. */
export function listsOf(
  { namespace }: Scope,
  command: Command,
): { kind: string; path: string }[] | undefined {
  const [resources = '', selector = '', ...rest] = command.slice(command.indexOf('get') + 1)
  const chosen = /^--selector=(.+)$/.exec(selector)?.[1]
  if (!command.includes('get') || chosen === undefined || rest.join() !== JSON_OUTPUT.join()) return undefined
  const lists = resources.split(',').map((resource) => {
    const [kind, group] = OF_APP[resource] ?? []
    const path = `/${group}/namespaces/${namespace}/${resource}?labelSelector=${encodeURIComponent(chosen)}`
    return kind === undefined ? undefined : { kind, path }
  })
  return lists.includes(undefined) ? undefined : lists.filter((one) => one !== undefined)
}

export const currentContext = (): Command => kubectl('config', 'current-context')

export const create = (): Command => kubectl('create', UNCHECKED, ...INPUT, ...JSON_OUTPUT)

export const replace = (): Command => kubectl('replace', UNCHECKED, ...INPUT, ...JSON_OUTPUT)

export const patch = (
  kind: string,
  name: string,
  operations: readonly JsonPatch[],
  ...flags: string[]
): Command =>
  kubectl('patch', kind, name, '--type=json', '-p', JSON.stringify(operations), ...JSON_OUTPUT, ...flags)

export const patchService = (name: string, operations: readonly JsonPatch[]): Command =>
  patch('service', name, operations, `--field-manager=${SWITCH_MANAGER}`)

/** From a file, which holds more than an argument can. */
export const patchFrom = (file: string, kind: string, name: string): Command =>
  kubectl('patch', kind, name, '--type=json', `--patch-file=${file}`, ...JSON_OUTPUT)

export const apply = (...flags: string[]): Command => kubectl('apply', ...SERVER_SIDE, ...INPUT, ...flags)

export const diff = (): Command => kubectl('diff', ...SERVER_SIDE, ...INPUT)

/** Sets an annotation of all objects of these kinds that a selector matches. */
export const annotate = (kinds: readonly string[], selector: string, annotation: string): Command =>
  kubectl(
    'annotate',
    kinds.join(','),
    selector,
    annotation,
    '--overwrite',
    `--field-manager=${SWITCH_MANAGER}`,
    '--output=name',
  )

export const remove = (kind: string, names: readonly string[], ...flags: string[]): Command =>
  kubectl('delete', kind, ...names, '--ignore-not-found', ...flags)

/** By its path, with `DeleteOptions` as input: kubectl has no flag for preconditions. */
export const removeRaw = (path: string): Command => kubectl('delete', `--raw=${path}`, ...INPUT)

export const logs = (pod: string, container: string, ...flags: string[]): Command =>
  kubectl('logs', pod, '-c', container, '--tail=250', ...flags)

/** Of all pods that a selector matches, each line with its pod and its time. */
export const logsBehind = (selector: string): Command =>
  kubectl(
    'logs',
    `--selector=${selector}`,
    '--all-containers',
    '--ignore-errors',
    '--prefix',
    '--timestamps',
    '--tail=100',
  )

export const events = (objectName: string): Command =>
  kubectl('get', 'events', `--field-selector=involvedObject.name=${objectName}`, '--sort-by=.lastTimestamp')

export const kustomize = (folder: string): Command => kubectl('kustomize', folder)

/** An RFC 6902 operation. A `test` that fails makes the server refuse the whole patch. */
export type JsonPatch =
  | { op: 'test' | 'add' | 'replace'; path: string; value: unknown }
  | { op: 'remove'; path: string }

/** One segment of a JSON pointer: annotations' names hold slashes. */
export const pointer = (...segments: string[]): string =>
  segments.map((segment) => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
