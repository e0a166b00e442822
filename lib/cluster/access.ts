/**
 * Before anything is touched: the cluster is the one that is meant (S8), it answers, it allows everything the
 * run will do, and there is room for a second color.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { missingProgram } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import type { Environment } from '../settings/file.ts'
import { create, currentContext } from './commands.ts'
import type { Kubectl } from './kubectl.ts'
import { accessReview, rulesReview, type Rule } from './objects.ts'
import { KubectlError } from './refusal.ts'

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
  ['autoscaling', 'horizontalpodautoscalers', 'patch'],
]

const deploy: readonly Need[] = [
  ...move,
  ['', 'services', 'create'],
  ['', 'resourcequotas', 'list'],
  ['', 'events', 'list'],
  ['', 'pods/log', 'get'],
  ['apps', 'deployments', 'get', 'create'],
]

/** Where the release has a migration. */
const migrate: readonly Need[] = [['batch', 'jobs', 'get', 'create', 'patch', 'delete']]

/** The preview, where it has no address of its own. */
const forward: readonly Need[] = [
  ['', 'pods', 'get'],
  ['', 'pods/portforward', 'create'],
]

/** Holding deployments up, and letting them go on. */
const hold: readonly Need[] = [['coordination.k8s.io', 'leases', 'get', 'create', 'patch']]

/** What each kind of run does with the cluster; `k8s/rbac/` grants this and no more. */
export const needs = {
  look,
  rollback: [...look, ...move],
  deploy: [...look, ...deploy],
  migrate,
  forward,
  hold,
} as const

/**
 * What a deployment into an environment does with its cluster.
 * @param again it is painted from what a record kept, and so without a migration
 */
export function needsOf({ manifests, previewUrl, strategy }: Environment, again: boolean): readonly Need[] {
  const migrates = !again && existsSync(join(manifests, 'migration'))
  const forwards = strategy === 'blue-green' && previewUrl === undefined
  return [...needs.deploy, ...(migrates ? needs.migrate : []), ...(forwards ? needs.forward : [])]
}

/**
 * @throws DeployError (2) when the context is another one than the environment's
 */
export async function checkContext(
  environment: Environment,
  chosen: string | undefined,
  kubectl: Kubectl,
): Promise<void> {
  const context = chosen ?? (await contextOf(kubectl))
  if (context === environment.context) return
  const switching = `kubectl config use-context ${environment.context}`
  const current = context === '' ? 'kubectl has no current context' : `the context is "${context}"`
  throw new DeployError(
    `${environment.name} is deployed through the context "${environment.context}", but ${current}. ` +
      `If ${environment.name} is meant: ${switching}, or --context ${environment.context}`,
    Exit.usage,
  )
}

async function contextOf(kubectl: Kubectl): Promise<string> {
  const { stdout, exitCode } = await kubectl.ask(currentContext())
  if (exitCode === 127) throw new DeployError(missingProgram('kubectl'), Exit.usage)
  return stdout.trim()
}

interface Access {
  group: string
  /** With its subresource, as RBAC names both: `pods/log`. */
  resource: string
  verb: string
}

/**
 * One question for all rules that the credentials have. What they do not show is asked about verb by verb: an
 * authorizer beside RBAC (a webhook, such as a cloud's IAM) decides, and shows no rules.
 * @throws DeployError (2) listing what is not allowed, as RBAC names it
 */
export async function checkAccess(kubectl: Kubectl, wanted: readonly Need[]): Promise<void> {
  const { namespace, context } = kubectl.scope
  const asked = wanted.flatMap(([group, resource, ...verbs]) =>
    verbs.map((verb) => ({ group, resource, verb })),
  )
  const rules = await rulesOf(kubectl)
  const denied = await deniedOf(
    kubectl,
    asked.filter((access) => !rules.some((rule) => allows(rule, access))),
  )
  if (denied.length === 0) return
  const what = denied.map(nameOf).join(', ')
  throw new DeployError(
    `The credentials of context "${context}" may not, in namespace ${namespace}: ${what}. k8s/rbac/ holds the Role that a deployer needs`,
    Exit.usage,
  )
}

const API = 'authorization.k8s.io/v1'

async function rulesOf(kubectl: Kubectl): Promise<Rule[]> {
  const { namespace } = kubectl.scope
  const input = JSON.stringify({ apiVersion: API, kind: 'SelfSubjectRulesReview', spec: { namespace } })
  try {
    const reviews = await kubectl.objects(create(), rulesReview, { input })
    return reviews.flatMap(({ status }) => status.resourceRules)
  } catch (error) {
    // A server that does not answer this question may answer the others.
    if (!(error instanceof KubectlError)) throw error
    if (error.refusal === 'Unreachable' || error.refusal === 'Unauthorized') throw error
    return []
  }
}

/** As k8s.io/kubernetes' RBAC evaluates a rule; one for named objects is not for all of them. */
function allows(
  { apiGroups, resources, resourceNames, verbs }: Rule,
  { group, resource, verb }: Access,
): boolean {
  const [, subresource] = resource.split('/')
  return (
    resourceNames.length === 0 &&
    has(verbs, verb) &&
    has(apiGroups, group) &&
    has(resources, resource, ...(subresource === undefined ? [] : [`*/${subresource}`]))
  )
}

const has = (list: readonly string[], ...names: string[]): boolean =>
  ['*', ...names].some((name) => list.includes(name))

const nameOf = ({ verb, resource, group }: Access): string => `${verb} ${resource}${group && `.${group}`}`

/** How many one kubectl asks, one after the other: with two seconds for each it still ends in time. */
const AT_ONCE = 10

async function deniedOf(kubectl: Kubectl, asked: readonly Access[]): Promise<Access[]> {
  const items = asked.map((access) => review(kubectl.scope.namespace, access))
  const parts = Array.from({ length: Math.ceil(items.length / AT_ONCE) }, (_, part) =>
    items.slice(part * AT_ONCE, (part + 1) * AT_ONCE),
  )
  const answers = await Promise.all(
    parts.map(async (part) => {
      const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: part })
      return await kubectl.objects(create(), accessReview, { input })
    }),
  )
  const allowed = answers.flat().flatMap(({ spec: { resourceAttributes: of }, status }) => {
    const resource = of.subresource ? `${of.resource}/${of.subresource}` : of.resource
    return status.allowed ? [nameOf({ ...of, resource })] : []
  })
  return asked.filter((access) => !allowed.includes(nameOf(access)))
}

function review(namespace: string, { group, resource: name, verb }: Access) {
  const [resource = '', subresource = ''] = name.split('/')
  const resourceAttributes = { namespace, group, resource, verb, ...(subresource && { subresource }) }
  return { apiVersion: API, kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } }
}
