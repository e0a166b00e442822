/** Whether there is room for a second color under the quotas of the namespace. */
import { z } from 'zod'
import { get } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import type { Manifest } from '../cluster/objects.ts'
import { DeployError } from '../errors.ts'
import type { ColorState } from './observe.ts'
import { quantities, quantity } from './quantity.ts'
import { inScope, podResources, scopeTerm } from './quota-scope.ts'

const quota = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z
    .object({
      scopes: z.array(z.string()).default([]),
      scopeSelector: z.object({ matchExpressions: z.array(scopeTerm).default([]) }).prefault({}),
    })
    .prefault({}),
  status: z.object({ hard: quantities, used: quantities }).prefault({}),
})

const podSpec = z.object({ template: z.object({ spec: podResources }) })

/**
 * @returns what a person should know of quotas that could not be judged
 * @throws DeployError (1) naming the quota that has no room for the color
 */
export async function checkQuota(
  kubectl: Kubectl,
  deployment: Manifest,
  replicas: number,
  idle: ColorState | undefined,
): Promise<string[]> {
  const quotas = await kubectl.objects(get(['resourcequotas']), quota)
  const more = Math.max(0, replicas - (idle?.pods.length ?? 0))
  const wanted = demand(deployment, more)
  const pod = podSpec.parse(deployment.spec).template.spec
  const problems: string[] = []
  const notes: string[] = []
  for (const { metadata, spec, status } of quotas) {
    const short = shortage(status, wanted)
    const verdicts = scopesOf(spec).map((term) => inScope(pod, term))
    if (short.length === 0 || verdicts.includes(false)) continue
    if (!verdicts.includes(undefined))
      problems.push(...short.map((what) => `quota ${metadata.name}: ${what}`))
    else
      notes.push(`quota ${metadata.name} (${short.join(', ')}) may refuse pods: its scope is not known here`)
  }
  if (problems.length > 0)
    throw new DeployError(`There is no room for ${replicas} more pods: ${problems.join('; ')}`)
  return notes
}

const scopesOf = ({ scopes, scopeSelector }: z.infer<typeof quota>['spec']) => [
  ...scopes.map((scopeName) => scopeTerm.parse({ scopeName })),
  ...scopeSelector.matchExpressions,
]

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
