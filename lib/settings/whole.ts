/** What no setting says alone: whether an environment's settings, all decided, can do what they are for. */
import { seconds } from '../clock.ts'
import type { Environment } from './file.ts'

type Settings = Pick<
  Environment,
  'strategy' | 'switch' | 'smoke' | 'witness' | 'performance' | 'ui' | 'pageQuality' | 'verification' | 'bake'
>

/** Each as the setting and what is wrong with it. Pure. */
export function contradictions(settings: Settings): { setting: string; problem: string }[] {
  return [...unjudged(settings), ...unnamed(settings), ...tooShort(settings), ...tooOften(settings)]
}

/** While both colors serve, an answer that does not say whose it is proves nothing of either. */
function unnamed({ strategy, switch: how, witness }: Settings): ReturnType<typeof contradictions> {
  if (strategy === 'rolling' || how !== 'gradual' || witness.color !== undefined) return []
  const problem =
    'gradual needs "witness.color": while both colors serve, it must be known which of them answers'
  return [{ setting: 'switch', problem }]
}

/** Each reading is in the record, which a ConfigMap holds. */
const READINGS = 400

function tooOften({ bake }: Settings): ReturnType<typeof contradictions> {
  if (!bake) return []
  const longest = bake.first + Math.max(bake.time, bake.maxTime)
  if (longest / bake.every <= READINGS) return []
  const problem = `${seconds(longest)} with a reading each ${seconds(bake.every)} are more than the ${READINGS} readings that a record holds: expected every: ${Math.ceil(longest / READINGS / 1000)}s at least`
  return [{ setting: 'bake', problem }]
}

/** Without a check of what users are on, every deployment would be undone after its switch: nothing is no pass (S6). */
function unjudged({ strategy, smoke, witness }: Settings): ReturnType<typeof contradictions> {
  const named = strategy === 'blue-green' && witness.color !== undefined
  if (smoke.length > 0 || named) return []
  const or = strategy === 'blue-green' ? ', or "witness.color", where the application names its color' : ''
  return [
    { setting: 'smoke', problem: `nothing judges what users are on: declare one smoke check at least${or}` },
  ]
}

/** One deadline for all checks: what follows it in turn must fit in, or the last has no verdict after minutes. */
function tooShort(settings: Settings): ReturnType<typeof contradictions> {
  const { performance, ui, pageQuality, verification } = settings
  const parts = {
    performance: performance ? performance.warmup + performance.duration + performance.timeout : 0,
    'ui.timeout': ui ? ui.timeout : 0,
    'pageQuality.timeout': pageQuality ? pageQuality.timeout : 0,
  }
  const sum = Object.values(parts).reduce((all, ms) => all + ms, 0)
  if (sum <= verification) return []
  const told = Object.entries(parts).flatMap(([name, ms]) => (ms > 0 ? [`${name} ${seconds(ms)}`] : []))
  const problem = `expected at least ${seconds(sum)}, since the checks follow one another: ${told.join(', ')}`
  return [{ setting: 'verification', problem }]
}
