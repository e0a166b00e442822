/** How each pod of each color answers the checks of deploy.yaml, by way of the API server: a Service shows one of them only. */
import type { Place } from '../app/color.ts'
import type { Observed } from '../app/observe.ts'
import { getFromPod } from '../cluster/commands.ts'
import { isReady, type Pod } from '../cluster/objects.ts'
import { refusalOf } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import type { SmokeCheck } from '../settings/gates.ts'
import { plain } from '../text.ts'

export interface PodHealth {
  pod: string
  color: Place
  ready: boolean
  restarts: number
  /** Names of the checks that it did not pass. */
  failed: string[]
  /** Of how many. */
  asked: number
  /** Why it could not be asked. */
  unknown?: string
}

/** As many are asked, of each color; the Service's address is asked beside them. */
const MOST_OF_A_COLOR = 8
const WITHIN = 5_000

/** Of a check what a pod can be asked this way: no header, no body, and an answer that is no refusal. */
const canBeAsked = ({ method, headers, body, expect, skip }: SmokeCheck): boolean =>
  method === 'GET' &&
  body === undefined &&
  Object.keys(headers).length === 0 &&
  expect.status >= 200 &&
  expect.status < 300 &&
  !skip

export async function healthOf(
  world: World,
  observed: Observed,
  places: readonly Place[],
): Promise<PodHealth[]> {
  const checks = world.environment.smoke.filter(canBeAsked)
  const pods = places.flatMap((color) =>
    observed.colors[color].own.slice(0, MOST_OF_A_COLOR).map((pod) => ({ pod, color })),
  )
  const healths: PodHealth[] = []
  // One after the other: each check is a kubectl, and nobody waits for them.
  for (const { pod, color } of pods) healths.push(await podHealth(world, pod, color, checks))
  return healths
}

async function podHealth(
  { kubectl, signal }: World,
  pod: Pod,
  color: Place,
  checks: readonly SmokeCheck[],
): Promise<PodHealth> {
  const { name, namespace = kubectl.scope.namespace } = pod.metadata
  const restarts = pod.status.containerStatuses.reduce((sum, { restartCount }) => sum + restartCount, 0)
  const health: PodHealth = {
    pod: name,
    color,
    ready: isReady(pod),
    restarts,
    failed: [],
    asked: checks.length,
  }
  const ports = pod.spec.containers.flatMap((container) => container.ports)
  const port = (ports.find((one) => one.name === 'http') ?? ports[0])?.containerPort
  if (port === undefined) return { ...health, unknown: 'names no port' }
  for (const check of checks) {
    const timeout = Math.min(WITHIN, check.expect.within + 1000)
    const output = await kubectl.ask(getFromPod(namespace, name, port, check.path), { timeout })
    signal.throwIfAborted()
    if (refusalOf(output) === 'Forbidden')
      return { ...health, unknown: 'these credentials may not get pods/proxy (k8s/rbac)' }
    const { text } = check.expect
    if (output.exitCode !== 0 || (text !== undefined && !output.stdout.includes(text)))
      health.failed.push(plain(check.name, 60))
  }
  return health
}
