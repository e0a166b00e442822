/** Amounts such as `500m`, `2`, `1.5Gi`. */

const BINARY = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const DECIMAL: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
}

/** In units (cores, bytes, pieces). @throws Error for what is not a quantity */
export function parseQuantity(value: unknown): number {
  const text = String(value)
  const [, digits, suffix = ''] = /^([+-]?[0-9.]+)([KMGTPE]i|[numkMGTPE]?|[eE][-+]?[0-9]+)$/.exec(text) ?? []
  if (digits === undefined) throw new Error(`${text} is not a quantity`)
  if (/^[eE]./.test(suffix)) return Number(text)
  const power = BINARY.indexOf(suffix)
  return Number(digits) * (power >= 0 ? 1024 ** (power + 1) : (DECIMAL[suffix] ?? Number.NaN))
}

/** The shortest whole form: 0.5 cores is `500m`, 2048 is `2048`. */
export function formatQuantity(amount: number): string {
  if (Number.isInteger(amount)) return String(amount)
  return `${Math.round(amount * 1000)}m`
}
