/**
 * Thresholds in the words that k6's users know: `p(99)<500`, `rate<0.01`.
 * https://grafana.com/docs/k6/latest/using-k6/thresholds/
 */
import { z } from 'zod'

const operators = z.enum(['<', '<=', '>', '>=', '==', '===', '!='])

const aggregates = z.enum(['avg', 'min', 'med', 'max', 'rate'])

export interface Threshold {
  /** As it was written. */
  text: string
  aggregate: z.infer<typeof aggregates> | { percentile: number }
  operator: z.infer<typeof operators>
  value: number
}

const operator = String.raw`\s*(?<operator><=|>=|===|==|!=|<|>)\s*(?<value>\d+(\.\d+)?)$`

const kinds = {
  duration: {
    pattern: new RegExp(
      String.raw`^(?<aggregate>avg|min|med|max|p\((?<percentile>\d+(\.\d+)?)\))${operator}`,
    ),
    example: 'p(99)<500, avg<100 or max<=2000',
  },
  rate: { pattern: new RegExp(`^(?<aggregate>rate)${operator}`), example: 'rate<0.01' },
}

/** The setting: text in, parsed threshold out. Durations are ms, rates shares of 1. */
export function threshold(kind: keyof typeof kinds) {
  const { pattern, example } = kinds[kind]
  return z
    .string()
    .regex(pattern, `expected a threshold such as ${example}`)
    .transform((text): Threshold => {
      const { aggregate, percentile, operator, value } = pattern.exec(text)?.groups ?? {}
      return {
        text,
        aggregate: percentile ? { percentile: Number(percentile) } : aggregates.parse(aggregate),
        operator: operators.parse(operator),
        value: Number(value),
      }
    })
    .refine(
      ({ aggregate }) => typeof aggregate === 'string' || aggregate.percentile <= 100,
      'a percentile is at most 100',
    )
}

const compare: Record<Threshold['operator'], (measured: number, value: number) => boolean> = {
  '<': (measured, value) => measured < value,
  '<=': (measured, value) => measured <= value,
  '>': (measured, value) => measured > value,
  '>=': (measured, value) => measured >= value,
  '==': (measured, value) => measured === value,
  '===': (measured, value) => measured === value,
  '!=': (measured, value) => measured !== value,
}

/** Whether a measured figure keeps the threshold; what was not measured (NaN) keeps none (S6). */
export function keeps({ operator, value }: Threshold, measured: number): boolean {
  return !Number.isNaN(measured) && compare[operator](measured, value)
}

/** Fewer requests say nothing of a rate of failures, whatever it may be. */
const LEAST = 100

/**
 * How many requests it takes to say whether it is kept: for a percentile, so many that ten lie beyond it; for a
 * rate, so many that one failure is less than the threshold. For a mean or an extreme, as many as for the median.
 */
export function samplesNeeded({ aggregate, value }: Threshold): number {
  if (aggregate === 'rate') return Math.max(LEAST, value > 0 ? Math.ceil(1 / value) : 0)
  const percentile = typeof aggregate === 'object' && aggregate.percentile < 100 ? aggregate.percentile : 50
  return Math.round(1000 / (100 - percentile))
}
