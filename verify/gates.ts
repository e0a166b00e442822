import type { Gates } from '../lib/check.ts'
import type { Environment } from '../lib/settings/file.ts'
import { smoke } from './smoke.ts'

/** What an environment is checked by: everything on the preview, and through users' URL what may disturb nobody. */
export function gatesOf({ smoke: checks, witness }: Environment): Gates {
  const smokeGate = smoke(checks, witness)
  return { preview: smokeGate, live: smokeGate }
}
