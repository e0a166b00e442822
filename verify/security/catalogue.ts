/** All checks, in the order in which a report lists them. docs/security-checks.md names the same. */
import { accessChecks } from './access.ts'
import type { Check } from './check.ts'
import { cookieChecks } from './cookies.ts'
import { corsChecks } from './cors.ts'
import { errorChecks } from './errors.ts'
import { exposureChecks } from './exposure.ts'
import { headerChecks } from './headers.ts'
import { inputChecks } from './input.ts'
import { methodChecks } from './methods.ts'
import { sessionChecks } from './sessions.ts'
import { transportChecks } from './transport.ts'

export const catalogue: readonly Check[] = [
  ...accessChecks,
  ...sessionChecks,
  ...exposureChecks,
  ...inputChecks,
  ...corsChecks,
  ...cookieChecks,
  ...transportChecks,
  ...headerChecks,
  ...methodChecks,
  ...errorChecks,
]
