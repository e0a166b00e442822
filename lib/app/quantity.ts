/** Amounts as Kubernetes writes them. */
import { z } from 'zod'
import { DeployError } from '../errors.ts'

/** Amounts by the name of what they are of. */
export const quantities = z
  .record(z.string(), z.union([z.string(), z.number()]).transform(String))
  .default({})

const suffixes: Record<string, number> = {
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
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** A Kubernetes quantity, such as `250m` or `1.5Gi`. @throws DeployError when it is none */
export function quantity(text: string): number {
  const [, number, suffix = ''] = /^([+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)([numkKMGTPE]?i?)$/.exec(text) ?? []
  const factor = suffixes[suffix]
  if (number === undefined || factor === undefined)
    throw new DeployError(`"${text}" is not a Kubernetes quantity`)
  return Number(number) * factor
}
