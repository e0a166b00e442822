/** From what was seen to what is wrong: whether both colors fail, and the causes, the true one first. Pure. */
import type { Place } from '../app/color.ts'
import { addressCauses } from './address.ts'
import { arranged, places, sickness, wayBack, type Case } from './case.ts'
import { ranked, script, type Cause } from './cause.ts'
import { recordCauses, writerCauses } from './checks.ts'
import { errorCauses } from './errors.ts'
import { policyCauses } from './network.ts'
import { podCauses } from './pods.ts'
import type { Scene } from './seen.ts'
import { trafficCauses } from './traffic.ts'

export interface Diagnosis {
  app: string
  environment: string
  /** Nothing that is certain or likely was found, and no color fails. */
  healthy: boolean
  /** The first question: which colors fail, and what that means. */
  first: string
  /** Why each color is not well; empty where it is. */
  colors: Partial<Record<Place, string[]>>
  causes: Cause[]
  /** What could not be read, so that nothing is known of it. */
  unread: readonly string[]
}

export function diagnosed(scene: Scene): Diagnosis {
  const about = arranged(scene)
  const causes = ranked([
    ...trafficCauses(about),
    ...policyCauses(about),
    ...addressCauses(about),
    ...places(about).flatMap((place) => podCauses(about, place)),
    ...errorCauses(about),
    ...recordCauses(about),
    ...writerCauses(about),
  ])
  const colors = Object.fromEntries(places(about).map((place) => [place, sickness(about, place)]))
  const well = causes.every(({ certainty }) => certainty === 'possible')
  return {
    app: scene.site.app,
    environment: scene.site.name,
    healthy: well && Object.values(colors).every((reasons) => reasons.length === 0),
    first: bothFail(about),
    colors,
    causes,
    unread: scene.unread,
  }
}

/** Do both fail? Then it is what they share, and going back does not help. */
function bothFail(about: Case): string {
  const { live, site } = about
  const failing = places(about).filter((place) => sickness(about, place).length > 0)
  if (failing.length === 0) return 'No color fails.'
  if (failing.length > 1)
    return 'Both colors fail: look at what they share (database, network, nodes, quota); going back does not help.'
  const [only] = failing
  if (only === 'plain' || live === undefined) return `${only ?? 'The app'} fails.`
  if (only !== live) return `Only ${only} fails, where no user is; ${live} is well.`
  const back = wayBack(about)
  if (!back) return `Only ${only} fails, where users are, and there is nothing to go back to that is well.`
  return `Only ${only} fails, where users are; ${back} is well, so going back helps: ${script(site, 'rollback-deployment')}`
}
