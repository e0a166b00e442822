/** A release that is watched: what the tests of the bake begin with. */
import { deploy } from '../../../lib/release/blue-green.ts'
import type { Plan } from '../../../lib/release/plan.ts'
import { Kubectl } from '../../../lib/cluster/kubectl.ts'
import type { World } from '../../../lib/cluster/world.ts'
import { recordForm, type DeploymentRecord } from '../../../lib/history/record.ts'
import { configMapOf } from '../../../lib/history/store.ts'
import { bake } from '../../../lib/settings/bake.ts'
import { APP } from '../objects.ts'
import { gates, rehearse, running, type Rehearsal } from '../world.ts'
import { planned, request } from './setting.ts'

/** Nothing else sleeps for these. */
export const EVERY = 5003
export const settings = bake.parse({
  first: '10s',
  time: '60s',
  maxTime: '90s',
  every: `${EVERY}ms`,
  probes: 20,
})

export type Baking = Rehearsal & { plan: Plan }

/** 1.0.0 is live in blue, and 1.1.0 is planned for green; `at` is called at the so many-th reading. */
export async function baking(
  at: (reading: number, rehearsal: Rehearsal) => unknown = () => {},
  more: Partial<typeof settings> = {},
): Promise<Baking> {
  const rehearsal = rehearse({ bake: { ...settings, ...more } })
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  let reading = 0
  rehearsal.clock.during.set(EVERY, async () => {
    await at(++reading, rehearsal)
    await Bun.sleep(30)
  })
  return { ...rehearsal, plan: await planned(rehearsal) }
}

export const go = async ({ world, plan }: Baking) => await deploy(world, request, plan, gates())

export const isGreen = (cluster: Rehearsal['cluster']): boolean =>
  Bun.deepEquals(cluster.selector(), { app: APP, color: 'green' })

export const recordOf = ({ cluster }: Pick<Rehearsal, 'cluster'>): DeploymentRecord =>
  recordForm.parse(cluster.records().find(({ kind }) => kind === 'deploy'))

/** As a command leaves it that dies at the worst moment. */
export function change({ cluster }: Rehearsal, by: (entry: DeploymentRecord) => DeploymentRecord): void {
  cluster.put(configMapOf(by(recordOf({ cluster }))))
}

/** The next command's world: nobody has interrupted it. */
export function afterwards({ world, cluster, clock }: Rehearsal): World {
  const { signal } = new AbortController()
  return { ...world, signal, kubectl: new Kubectl(world.environment, cluster, clock, signal) }
}

export const failing = (): Response => new Response('', { status: 500 })
