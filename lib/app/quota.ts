/** Whether there is room for a second color under the quotas of the namespace. */
import { z } from 'zod'
import { get } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import type { Manifest } from '../cluster/objects.ts'
import { DeployError } from '../errors.ts'
import type { ColorState } from './observe.ts'

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
