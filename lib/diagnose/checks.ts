/** What the newest record says of a release that did not go live, and why nothing moves. Pure. */
import type { Case } from './case.ts'
import { kubectl, script, type Cause } from './cause.ts'

const common = { trouble: 'checks fail', certainty: 'certain', users: false } as const

/** Outcomes of an attempt that checks did not stop, whatever they said on the way. */
const ENDED = ['succeeded', 'released', 'superseded', 'taken-back']

/** What the last attempt was stopped by. */
export function recordCauses(about: Case): Cause[] {
  const { last, site } = about
  if (!last || ENDED.includes(last.outcome)) return []
  const { message = '' } = last
  const job = /^The migration failed: (job\/[\w.-]+)/.exec(message)?.[1]
  if (job !== undefined) {
    const what = `the migration of ${last.to.version} failed`
    return [
      {
        ...common,
        id: 'migration',
        what,
        evidence: [message],
        next: kubectl(site, 'logs', job, '--tail=100'),
      },
    ]
  }
  return [...failedChecks(about), ...waiting(about)]
}

function failedChecks({ last, site, observed }: Case): Cause[] {
  const bad = (last?.checks ?? []).filter(({ verdict }) => verdict === 'failed' || verdict === 'inconclusive')
  const [first] = bad
  if (!last || !first) return []
  const color = last.to.color === 'blue' || last.to.color === 'green' ? last.to.color : 'plain'
  // Something else has been started there since: what was seen then says nothing of it.
  const there = observed.colors[color].release
  if (there && there.version !== last.to.version) return []
  const kinds = [...new Set(bad.map(({ gate }) => gate))].join(', ')
  const evidence = bad.map(
    ({ gate, name, expected, seen }) => `${gate}: ${name}: expected ${expected}, saw ${seen}`,
  )
  const what = `${bad.length} checks of ${last.to.version} did not pass (${kinds})`
  const next = script(site, 'deployment-history', '--id', last.id)
  return [{ ...common, id: 'checks', what, evidence, next }]
}

/** A release that has passed, and waits for somebody to open it. */
function waiting({ last, site }: Case): Cause[] {
  if (last?.outcome !== 'verified') return []
  const what = `${last.to.version} is verified in ${last.to.color} and waits to be opened to users`
  const evidence = [`record ${last.id}, since ${last.startedAt}`]
  const next = script(site, 'deploy', '--resume', last.id, '--yes')
  return [{ ...common, trouble: 'traffic does not switch', id: 'waits-for-resume', what, evidence, next }]
}

/** Who keeps traffic from moving: a person, a run, or what is left of one. */
export function writerCauses(about: Case): Cause[] {
  const { observed, last, site, now } = about
  const { hold, lease } = observed
  const base = { ...common, trouble: 'traffic does not switch' } as const
  const causes: Cause[] = []
  const until = hold?.until
  if (hold && (until === undefined || Date.parse(until) > now)) {
    const what = `deployments are held up by ${hold.by}: ${hold.reason}`
    const evidence = [`since ${hold.since}${until ? `, until ${until}` : ''}`]
    causes.push({ ...base, id: 'hold', what, evidence, next: script(site, 'lock', '--release') })
  }
  const holder = lease?.spec.holderIdentity
  const renewed = Date.parse(lease?.spec.renewTime ?? '')
  const open = last?.outcome === 'open'
  const alive = holder && now - renewed < (lease?.spec.leaseDurationSeconds ?? 0) * 2000
  if (open && alive) {
    const what = `a ${last.kind} of ${last.to.version} is under way`
    const next = script(site, 'deployment-status')
    causes.push({ ...base, certainty: 'possible', id: 'under-way', what, evidence: [holder], next })
  } else if (open) {
    const what = `a ${last.kind} of ${last.to.version} was cut off and has not been finished or undone`
    const evidence = [`record ${last.id} is open since ${last.startedAt}, and nobody renews the lock`]
    causes.push({
      ...base,
      id: 'abandoned',
      what,
      evidence,
      next: script(site, 'deployment-status', '--repair'),
    })
  }
  return causes
}
