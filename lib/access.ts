/**
 * Before anything is touched: the cluster is the one that is meant (S8), it answers, it allows everything the
 * run will do, and there is room for a second color.
 */
import { z } from 'zod'
import type { ColorState } from './color.ts'
import type { Environment } from './settings/file.ts'
import { DeployError, Exit } from './errors.ts'
import { create, get, missingProgram, type Kubectl } from './kubectl.ts'
import { accessReview, type Manifest } from './objects.ts'

type Need = readonly [group: string, resource: string, ...verbs: string[]]

const look: readonly Need[] = [
  ['', 'services', 'get', 'list'],
  ['', 'pods', 'list'],
  ['apps', 'deployments', 'list'],
  ['apps', 'replicasets', 'list'],
  ['autoscaling', 'horizontalpodautoscalers', 'list'],
  ['coordination.k8s.io', 'leases', 'get', 'list'],
  ['', 'configmaps', 'get', 'list'],
  ['discovery.k8s.io', 'endpointslices', 'list'],
]

const move: readonly Need[] = [
  ['', 'services', 'patch'],
  ['', 'configmaps', 'create', 'patch', 'delete'],
  ['coordination.k8s.io', 'leases', 'create', 'update', 'patch'],
  ['apps', 'deployments', 'patch'],
  ['apps', 'deployments/scale', 'patch'],
  ['autoscaling', 'horizontalpodautoscalers', 'patch'],
]

const deploy: readonly Need[] = [
  ...move,
  ['', 'services', 'create'],
  ['', 'resourcequotas', 'list'],
  ['', 'events', 'list'],
  ['', 'pods/log', 'get'],
  ['apps', 'deployments', 'get', 'create'],
  ['batch', 'jobs', 'get', 'create', 'patch', 'delete'],
]

/** The preview, where it has no address of its own. */
const forward: Need = ['', 'pods/portforward', 'create']

/** What each kind of run does with the cluster; `k8s/rbac/` grants this and no more. */
export const needs = { look, forward, rollback: [...look, ...move], deploy: [...look, ...deploy] } as const

/**
 * @throws DeployError (2) when the context is another one than the environment's
 */
export async function checkContext(
  environment: Environment,
  chosen: string | undefined,
  kubectl: Kubectl,
): Promise<void> {
  const context = chosen ?? (await currentContext(kubectl))
  if (context === environment.context) return
  const switching = `kubectl config use-context ${environment.context}`
  const current = context === '' ? 'kubectl has no current context' : `the context is "${context}"`
  throw new DeployError(
    `${environment.name} is deployed through the context "${environment.context}", but ${current}. ` +
      `If ${environment.name} is meant: ${switching}, or --context ${environment.context}`,
    Exit.usage,
  )
}

async function currentContext(kubectl: Kubectl): Promise<string> {
  const { stdout, exitCode } = await kubectl.ask(['kubectl', 'config', 'current-context'])
  if (exitCode === 127) throw new DeployError(missingProgram('kubectl'), Exit.usage)
  return stdout.trim()
}

/** @throws DeployError (2) listing what is not allowed, as RBAC names it */
export async function checkAccess(kubectl: Kubectl, wanted: readonly Need[]): Promise<void> {
  const { namespace, context } = kubectl.scope
  const items = wanted.flatMap(([group, resource, ...verbs]) =>
    verbs.map((verb) => review(namespace, group, resource, verb)),
  )
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  const answers = await kubectl.quietly(create(), accessReview, { input })
  const denied = answers
    .filter(({ status }) => !status.allowed)
    .map(({ spec: { resourceAttributes: asked } }) => {
      const resource = asked.subresource ? `${asked.resource}/${asked.subresource}` : asked.resource
      return `${asked.verb} ${resource}${asked.group ? `.${asked.group}` : ''}`
    })
  if (denied.length === 0 && answers.length === items.length) return
  const what = denied.length > 0 ? denied.join(', ') : 'an answer for every verb'
  throw new DeployError(
    `The credentials of context "${context}" may not, in namespace ${namespace}: ${what}. k8s/rbac/ holds the Role that a deployer needs`,
    Exit.usage,
  )
}

function review(namespace: string, group: string, name: string, verb: string) {
  const [resource = '', subresource = ''] = name.split('/')
  const resourceAttributes = { namespace, group, resource, verb, ...(subresource && { subresource }) }
  return {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  }
}

const quantities = z.record(z.string(), z.union([z.string(), z.number()]).transform(String)).default({})
const quota = z.object({
  metadata: z.object({ name: z.string() }),
  status: z.object({ hard: quantities, used: quantities }).prefault({}),
})
const resources = z.object({ requests: quantities, limits: quantities }).prefault({})
const podSpec = z.object({
  template: z.object({ spec: z.object({ containers: z.array(z.object({ resources })) }) }),
})

/** @throws DeployError (1) naming the quota that has no room for the color */
export async function checkQuota(
  kubectl: Kubectl,
  deployment: Manifest,
  replicas: number,
  idle: ColorState | undefined,
): Promise<void> {
  const quotas = await kubectl.objects(get(['resourcequotas']), quota)
  const more = Math.max(0, replicas - (idle?.pods.length ?? 0))
  const problems = quotas.flatMap(({ metadata, status }) =>
    shortage(status, demand(deployment, more)).map((what) => `quota ${metadata.name}: ${what}`),
  )
  if (problems.length > 0)
    throw new DeployError(`There is no room for ${replicas} more pods: ${problems.join('; ')}`)
}

/** What so many pods of a Deployment ask of a quota. */
export function demand({ spec }: Manifest, pods: number): Record<string, number> {
  const wanted: Record<string, number> = { pods, 'count/pods': pods }
  for (const { resources: container } of podSpec.parse(spec).template.spec.containers) {
    for (const kind of ['requests', 'limits'] as const) {
      for (const [resource, amount] of Object.entries(container[kind])) {
        const names = kind === 'requests' ? [resource, `requests.${resource}`] : [`limits.${resource}`]
        for (const name of names) wanted[name] = (wanted[name] ?? 0) + quantity(amount) * pods
      }
    }
  }
  return wanted
}

/** 100m and 200m make 0.30000000000000004, which still fits into 300m. */
const ROUNDING = 1e-9

/** Which limits a demand would pass. */
export function shortage(
  { hard, used }: z.infer<typeof quota>['status'],
  wanted: Record<string, number>,
): string[] {
  return Object.entries(hard)
    .filter(
      ([name, limit]) =>
        (wanted[name] ?? 0) > 0 &&
        quantity(used[name] ?? '0') + (wanted[name] ?? 0) > quantity(limit) * (1 + ROUNDING),
    )
    .map(([name, limit]) => `${name} ${used[name] ?? 0} of ${limit} used`)
}

const suffixes: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** A Kubernetes quantity, such as `250m` or `1.5Gi`. @throws DeployError when it is none */
export function quantity(text: string): number {
  const [, number, suffix = ''] = /^([+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)([numkKMGTPE]?i?)$/.exec(text) ?? []
  const factor = suffixes[suffix]
  if (number === undefined || factor === undefined)
    throw new DeployError(`"${text}" is not a Kubernetes quantity`)
  return Number(number) * factor
}
