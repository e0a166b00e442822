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

/** What is missing is no error. */
const IF_THERE = '--ignore-not-found'

/** From standard input. */
const INPUT = ['-f', '-']

/** For the project's own objects, whose form is known: without the download of the server's schema (150 ms). */
const UNCHECKED = '--validate=false'

/** Fields that others own are taken over: what the manifests say holds. */
const SERVER_SIDE = ['--server-side', '--force-conflicts', `--field-manager=${FIELD_MANAGER}`]

export const get = (resources: readonly string[], ...flags: string[]): Command =>
  kubectl('get', resources.join(','), ...flags, ...JSON_OUTPUT)

/** The kinds that a proxy may be asked for, and where the API server has them; Secrets are none of them. */
const RESOURCES: Record<string, [kind: string, root: string]> = {
  services: ['Service', 'api/v1'],
  deployments: ['Deployment', 'apis/apps/v1'],
  replicasets: ['ReplicaSet', 'apis/apps/v1'],
  pods: ['Pod', 'api/v1'],
  horizontalpodautoscalers: ['HorizontalPodAutoscaler', 'apis/autoscaling/v1'],
  leases: ['Lease', 'apis/coordination.k8s.io/v1'],
  configmaps: ['ConfigMap', 'api/v1'],
  endpointslices: ['EndpointSlice', 'apis/discovery.k8s.io/v1'],
  jobs: ['Job', 'apis/batch/v1'],
  resourcequotas: ['ResourceQuota', 'api/v1'],
}

const OF_APP = ['services', 'deployments', 'replicasets', 'pods', 'horizontalpodautoscalers', 'leases']

/** Everything that decides: both Services, both colors, the lock. */
export const getApp = (app: string): Command => get(OF_APP, `--selector=app=${app}`)

export const getNamed = (...names: string[]): Command => kubectl('get', ...names, IF_THERE, ...JSON_OUTPUT)

/** What a pod answers, by way of the API server: nothing need be reachable from here. */
export const getFromPod = (namespace: string, pod: string, port: number, path: string): Command =>
  kubectl('get', `--raw=/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy${path}`)

/** What the cluster's metrics server says of an app's pods, where there is one. */
export const getUsage = (namespace: string, app: string): Command =>
  kubectl('get', `--raw=/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods?labelSelector=app%3D${app}`)

/** The API server on a socket, as far as it is about reading such objects of a namespace, and what its pods answer. */
export const proxyOf = ({ namespace }: Scope, socket: string): Command =>
  kubectl(
    'proxy',
    `--unix-socket=${socket}`,
    `--accept-paths=^/(${[...new Set(Object.values(RESOURCES).map(([, root]) => root))].join('|')})` +
      `/namespaces/${namespace}/(${Object.keys(RESOURCES).join('|')})($|/)`,
    '--reject-methods=^(POST|PUT|PATCH|DELETE)$',
  )

/** What a `get --raw` asks the API server for. */
export function rawPath(command: Command): string | undefined {
  const raw = command.includes('get') ? command.find((word) => word.startsWith('--raw=/api/')) : undefined
  return raw?.slice('--raw='.length)
}

/** What a `get` asks the API server for: all objects of a kind, or one by its name, which may be missing. */
export interface Asked {
  apiVersion: string
  kind: string
  path: string
  name?: string
}

/** What a command of `get` or `getNamed` asks for, where a proxy may be asked for all of it. */
export function askedBy({ namespace }: Scope, command: Command): Asked[] | undefined {
  const words = command.slice(command.indexOf('get') + 1)
  if (!command.includes('get') || words.splice(-2).join() !== JSON_OUTPUT.join()) return undefined
  const at = (resource: string, rest: string): Asked | undefined => {
    const [kind, root] = RESOURCES[resource] ?? []
    if (kind === undefined || root === undefined) return undefined
    const apiVersion = root.replace(/^apis?\//, '')
    return { apiVersion, kind, path: `/${root}/namespaces/${namespace}/${resource}${rest}` }
  }
  const named = words.at(-1) === IF_THERE ? words.slice(0, -1) : undefined
  const asked = named
    ? named.map((word) => {
        const [kind, name = ''] = word.split('/')
        const object = at(`${kind}s`, `/${name}`)
        return name && object ? { ...object, name } : undefined
      })
    : listed(words)?.map(({ resource, query }) => at(resource, query))
  return asked?.includes(undefined) ? undefined : asked?.filter((one) => one !== undefined)
}

/** The kinds of a list, by a selector or without one. */
function listed([resources = '', ...flags]: readonly string[]):
  | { resource: string; query: string }[]
  | undefined {
  const [selector, ...rest] = flags.map((flag) => /^--selector=(.+)$/.exec(flag)?.[1])
  if (flags.length > 0 && (selector === undefined || rest.length > 0)) return undefined
  const query = selector === undefined ? '' : `?labelSelector=${encodeURIComponent(selector)}`
  return resources.split(',').map((resource) => ({ resource, query }))
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
  kubectl('delete', kind, ...names, IF_THERE, ...flags)

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
