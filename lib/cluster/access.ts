/**
 * Before anything is touched: the cluster is the one that is meant (S8), it answers, it allows everything the
 * run will do, and there is room for a second color.
 */
import { missingProgram } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import type { Environment } from '../settings/file.ts'
import { create } from './commands.ts'
import type { Kubectl } from './kubectl.ts'
import { accessReview } from './objects.ts'

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

/** Holding deployments up, and letting them go on. */
const hold: readonly Need[] = [['coordination.k8s.io', 'leases', 'get', 'create', 'patch']]

/** What each kind of run does with the cluster; `k8s/rbac/` grants this and no more. */
export const needs = {
  look,
  forward,
  hold,
  rollback: [...look, ...move],
  deploy: [...look, ...deploy],
} as const

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
