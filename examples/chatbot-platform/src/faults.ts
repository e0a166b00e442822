/**
 * Faults that can be switched on, so that each gate of a deployment can be proven able to fail.
 * All are off unless the environment names them; the README says which gate should catch which.
 */
import { hostname } from 'node:os'
import { ConfigError, flag, number, type Environment } from './environment.ts'
import { HttpError } from './errors.ts'
import type { Handler } from './router.ts'

export type FaultSettings = ReturnType<typeof parseFaults>

/** Marks a deployment's own checks. FAULT_LIVE_ERROR_RATE spares them: only users see that one. */
export const VERIFICATION_HEADER = 'x-deploy-verification'

/** Where FAULT_REMOTE is told what is to fail from now on. */
export const FAULTS_PATH = '/faults'

const spared: ReadonlySet<string> = new Set(['/health', '/ready', FAULTS_PATH])

/** @throws ConfigError also for an unknown FAULT_ name: a misspelt fault would prove nothing */
export function parseFaults(env: Environment) {
  const known = new Set<string>()
  const amount = (name: string, max: number) => number(env, known.add(name) && name, 0, { min: 0, max })
  const on = (name: string) => flag(env, known.add(name) && name, false)
  const settings = {
    errorRate: amount('FAULT_ERROR_RATE', 1),
    liveErrorRate: amount('FAULT_LIVE_ERROR_RATE', 1),
    slowMs: amount('FAULT_SLOW_MS', 60_000),
    leakMbPerRequest: amount('FAULT_LEAK_MB_PER_REQUEST', 1024),
    databaseErrorRate: amount('FAULT_DATABASE_ERROR_RATE', 1),
    /** Limits the faults above to one path. */
    path: known.add('FAULT_PATH') && env['FAULT_PATH'],
    crash: on('FAULT_CRASH'),
    remote: on('FAULT_REMOTE'),
    crashAtStart: on('FAULT_CRASH_AT_START'),
    neverReady: on('FAULT_NEVER_READY'),
    noSecurityHeaders: on('FAULT_NO_SECURITY_HEADERS'),
    openAdmin: on('FAULT_OPEN_ADMIN'),
    brokenLogin: on('FAULT_BROKEN_LOGIN'),
  }
  const given = Object.keys(env).filter((name) => name.startsWith('FAULT_'))
  const unknown = given.find((name) => !known.has(name))
  if (unknown) throw new ConfigError(`${unknown} is not a fault; there are ${[...known].join(', ')}`)
  const active = given.filter((name) => !['', '0', 'false'].includes(env[name] ?? ''))
  return { ...settings, active: active.map((name) => `${name}=${env[name]}`) }
}

export class Faults {
  readonly #leaked: Uint8Array[] = []
  #settings: FaultSettings
  #shares: Record<'errors' | 'liveErrors' | 'databaseErrors', Share>

  constructor(settings: FaultSettings) {
    this.#settings = settings
    this.#shares = sharesOf(settings)
  }

  /** FAULT_REMOTE: what begins, or ends, when somebody asks for it. Only the one pod that is asked. */
  readonly change: Handler = async ({ request }) => {
    const env = Object.fromEntries(
      Object.entries(Object(await request.json())).map(([k, v]) => [k, String(v)]),
    )
    const settings = { ...parseFaults(env), remote: true }
    this.#settings = settings
    this.#shares = sharesOf(settings)
    return Response.json({ pod: `${hostname()}-${process.pid}`, active: settings.active })
  }

  /** @throws Error in place of what the database would have answered */
  disturbDatabase(): void {
    if (this.#shares.databaseErrors.next()) throw new Error('fault: FAULT_DATABASE_ERROR_RATE')
  }

  /**
   * Delays, leaks or fails a request as the settings say. Probes are left alone: a fault is to be found by
   * gates.
   */
  async disturb(request: Request, path: string): Promise<void> {
    if (spared.has(path)) return
    const { leakMbPerRequest, slowMs, path: only, crash } = this.#settings
    if (only && path !== only) return
    if (crash) process.exit(1)
    if (leakMbPerRequest > 0) this.#leaked.push(new Uint8Array(leakMbPerRequest * 2 ** 20).fill(1))
    if (slowMs > 0) await Bun.sleep(slowMs)
    if (this.#shares.errors.next()) throw new HttpError(500, 'fault', 'fault: FAULT_ERROR_RATE')
    if (!request.headers.has(VERIFICATION_HEADER) && this.#shares.liveErrors.next()) {
      throw new HttpError(500, 'fault', 'fault: FAULT_LIVE_ERROR_RATE')
    }
  }
}

const sharesOf = ({ errorRate, liveErrorRate, databaseErrorRate }: FaultSettings) => ({
  errors: new Share(errorRate),
  liveErrors: new Share(liveErrorRate),
  databaseErrors: new Share(databaseErrorRate),
})

/** True for an even share of the calls, counted and not random, so that a test sees the same each time. */
class Share {
  readonly #rate: number
  #calls = 0

  constructor(rate: number) {
    this.#rate = rate
  }

  next(): boolean {
    const before = Math.floor(this.#calls++ * this.#rate)
    return Math.floor(this.#calls * this.#rate) > before
  }
}
