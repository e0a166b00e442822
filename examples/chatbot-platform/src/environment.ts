/**
 * Typed reading of environment variables. A bad value is one sentence that names the variable; values that
 * may be secret are never shown.
 */
export type Environment = Readonly<Record<string, string | undefined>>

export class ConfigError extends Error {
  override name = 'ConfigError'
}

interface Range {
  min: number
  max: number
}

/** An empty variable counts as unset: a ConfigMap key without a value must not turn into 0. */
export function text(env: Environment, name: string, fallback: string): string {
  return env[name] || fallback
}

export function number(env: Environment, name: string, fallback: number, { min, max }: Range): number {
  const given = env[name]
  if (!given) return fallback
  const value = Number(given)
  if (!Number.isFinite(value) || value < min || value > max) {
    throw new ConfigError(`${name} must be a number from ${min} to ${max}, not "${given}"`)
  }
  return value
}

export function integer(env: Environment, name: string, fallback: number, range: Range): number {
  const value = number(env, name, fallback, range)
  if (!Number.isInteger(value)) throw new ConfigError(`${name} must be a whole number, not "${value}"`)
  return value
}

export function flag(env: Environment, name: string, fallback: boolean): boolean {
  const given = env[name]
  if (!given) return fallback
  if (given === 'true' || given === '1') return true
  if (given === 'false' || given === '0') return false
  throw new ConfigError(`${name} must be true or false, not "${given}"`)
}

export function choice<const T extends string>(
  env: Environment,
  name: string,
  choices: readonly T[],
  fallback: T,
): T {
  const given = env[name]
  if (!given) return fallback
  const chosen = choices.find((option) => option === given)
  if (!chosen) throw new ConfigError(`${name} must be one of ${choices.join(', ')}, not "${given}"`)
  return chosen
}

/**
 * An absolute http(s) address, or undefined when unset. It may carry a password, so it is not repeated in the
 * error.
 */
export function httpAddress(env: Environment, name: string): string | undefined {
  const given = env[name]
  if (!given) return undefined
  if (!/^https?:\/\//.test(given) || !URL.canParse(given)) {
    throw new ConfigError(`${name} must be an absolute http:// or https:// address`)
  }
  return given
}
