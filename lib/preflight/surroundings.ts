/** The boxes about where it goes: who is told, who may, what stands in the way, and whether the way back works. */
import { strangers, impostors } from '../app/live.ts'
import { sentence } from '../errors.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { failed, passed, unknown, type Finding } from './box.ts'
import type { Facts, Planned } from './facts.ts'

export function judgeTeam({ channels }: Pick<Facts, 'channels'>): Finding {
  if (channels.length > 0) return passed(`${channels.join(', ')} is told`)
  return unknown('deploy.yaml names nobody who is told (notify)', 'tell them, then --ack team "<who, where>"')
}

export async function judgeAccess({ access, world }: Pick<Facts, 'access' | 'world'>): Promise<Finding> {
  try {
    await access
    return passed('the credentials allow all that a deployment does')
  } catch (error) {
    world.signal.throwIfAborted()
    return failed(sentence(error), 'grant the Role of k8s/rbac')
  }
}

/** Pods that an overlap would send users to, or that answer in a color's place. */
export function judgeStrays({ observed }: Pick<Planned, 'observed'>, rolling: boolean): Finding {
  const { blue, green } = observed.colors
  const found = rolling ? [] : [...strangers(observed), ...impostors(blue), ...impostors(green)]
  if (found.length === 0) return passed('every pod with the application’s labels belongs to a color')
  return failed(found.join('; '), 'kubectl delete pod NAME, or take the label app off it')
}

const DAY = 86_400_000

/** A rollback by which nobody lost a request: a drill, or a real one. Pure; `now` and `within` in ms. */
export function judgeDrill(
  records: readonly DeploymentRecord[],
  now: number,
  within: number,
  environment: string,
): Finding {
  const next = `make drill ENV=${environment}, or --ack drill "<reason>"`
  const proven = records
    .filter(({ kind, outcome, switches }) => {
      const last = switches.at(-1)
      return (
        kind === 'rollback' && outcome === 'succeeded' && last && last.requests > 0 && last.failures === 0
      )
    })
    .map(({ environment: where, finishedAt = '' }) => ({ where, age: now - Date.parse(finishedAt) }))
    .filter(({ age }) => age >= 0)
    .toSorted((a, b) => a.age - b.age)
  const [newest] = proven
  if (!newest) return failed('no rollback is on record by which nobody lost a request', next)
  const age = `${Math.floor(newest.age / DAY)} days ago in ${newest.where}`
  return newest.age <= within ? passed(`shown to work ${age}`) : failed(`last shown to work ${age}`, next)
}
