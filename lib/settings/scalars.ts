/** The values that settings are made of. */
import { z } from 'zod'

// Compiling each schema on its first use costs more than a script gains by it, which parses most things once.
z.config({ jitless: true })

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `500ms`, `10s`, `2m`, `1h` → milliseconds. */
export const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'expected a duration such as 500ms, 10s, 2m or 1h')
  .transform((text) => Number.parseFloat(text) * (units[text.replace(/^[\d.]+/, '')] ?? Number.NaN))

export const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'expected a DNS label: a-z, 0-9 and -')
export const httpUrl = z
  .url({ protocol: /^https?$/, error: 'expected an http:// or https:// address' })
  .refine(
    (text) => !URL.canParse(text) || !hasUser(new URL(text)),
    'expected an address without a user or password: it stands in logs, records and reports. Let a proxy that asks ' +
      'for one let this machine in by its address',
  )
export const path = z.string().startsWith('/', 'expected a path that starts with /')
export const count = z.int().positive()
export const status = z.int().min(100).max(599)
export const method = z.enum(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'])
export const headers = z.record(z.string(), z.string())
/** A secret is never in the file: the file names the environment variable that holds it. */
export const variable = z
  .string()
  .regex(/^[A-Za-z_]\w*$/, 'expected the name of an environment variable, not its value')

function hasUser({ username, password }: URL): boolean {
  return username !== '' || password !== ''
}
