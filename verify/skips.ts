/** Single checks that deploy.yaml leaves out for a while. */
import type { CheckResult } from '../lib/check.ts'
import type { LeftOut } from '../lib/settings/gates.ts'

const DAY = 86_400_000

/** It holds to the end of its last day, in UTC. `now` in ms since 1970. */
export function hasExpired({ expires }: Pick<LeftOut, 'expires'>, now: number): boolean {
  return !(now < Date.parse(expires) + DAY)
}

/** What stands for a check that is not made. One that is left out for too long fails, and is named. Pure. */
export function leftOut(
  check: Pick<CheckResult, 'gate' | 'name' | 'expected'>,
  skip: LeftOut,
  now: number,
): CheckResult {
  const { gate, name, expected } = check
  const why = `until ${skip.expires}: ${skip.reason}`
  return hasExpired(skip, now)
    ? { gate, name, verdict: 'failed', ms: 0, expected, seen: `its skip has expired, it was left out ${why}` }
    : { gate, name, verdict: 'skipped', ms: 0, expected, seen: `left out ${why}` }
}

/** For a plan: `security, without host-header until 2027-01-31 (the proxy answers 503)`. Pure. */
export function without(kind: string, skips: readonly (LeftOut & { id: string })[]): string {
  const each = skips.map(({ id, expires, reason }) => `without ${id} until ${expires} (${reason})`)
  return [kind, ...each].join(', ')
}
