/** How a release is watched once users are on it: `bake` in deploy.yaml. */
import { z } from 'zod'
import { count, duration, httpUrl, path } from './scalars.ts'
import { parseSelector } from './selector.ts'

/** Indicators that need not be declared. */
const BUILT_IN = ['errors', 'slow', 'databaseErrors', 'probes']

const share = z.number().gt(0).max(1)

/** PromQL selectors of counters, in which `{{app}}`, `{{namespace}}` and `{{color}}` stand for a place. */
const query = z
  .string()
  .refine(
    (text) => !/\{\{(?!(app|namespace|color)\}\})/.test(text),
    'expected no other placeholder than {{app}}, {{namespace}} and {{color}}',
  )
  .refine(
    (text) => parseSelector(text) !== undefined,
    'expected the selector of a counter in PromQL, such as orders_total{color=~"{{color}}",status="failed"}: no function, no range',
  )
const indicator = z
  .strictObject({
    title: z.string().optional(),
    /** All of what is counted, and of it the bad ones; or the good ones, where the bad ones have no counter. */
    all: query,
    bad: query.optional(),
    good: query.optional(),
    /** The share of bad ones that is never tolerated. */
    most: share,
  })
  .transform(({ bad, good, ...rest }, context) => {
    if (bad !== undefined && good === undefined) return { ...rest, bad }
    if (good !== undefined && bad === undefined) return { ...rest, good }
    context.addIssue({ code: 'custom', message: 'expected either "bad" or "good"' })
    return z.NEVER
  })
export type Indicator = z.infer<typeof indicator>

export const bake = z.strictObject({
  /** Where Prometheus answers its HTTP API; without it the pods' own `/metrics` are read. */
  prometheus: httpUrl.optional(),
  /** The environment variable that holds a bearer token for it. */
  token: z
    .string()
    .regex(/^[A-Z_][A-Z0-9_]*$/, 'expected the name of an environment variable')
    .optional(),
  /**
   * Where the pods say what they count. Without `port` it is where the pod's annotation prometheus.io/port says, or its
   * port named metrics, or its first one.
   */
  metrics: z
    .strictObject({ path: path.default('/metrics'), port: count.max(65_535).optional() })
    .prefault({}),
  /** How long both colors are kept as they are after the switch, so that one can be compared with the other. */
  first: duration.prefault('60s'),
  /** How long all users are watched on the new color, at the least. */
  time: duration.prefault('10m'),
  /** When it is decided at the latest: as long as there is doubt, it is watched on. */
  maxTime: duration.prefault('30m'),
  /** From one reading to the next; no shorter than Prometheus' scrape interval. */
  every: duration.refine((ms) => ms >= 1000, 'expected at least 1s').prefault('15s'),
  /** Shares of bad ones that are never tolerated, whatever was normal before. */
  limits: z
    .strictObject({
      errors: share.default(0.05),
      slow: share.default(0.25),
      databaseErrors: share.default(0.05),
      probes: share.default(0.05),
    })
    .prefault({}),
  /** Ratios of the team's own, beside those that are built in. */
  indicators: z
    .record(
      z
        .string()
        .regex(/^[a-z][A-Za-z0-9]*$/, 'expected a name such as checkoutErrors')
        .refine((name) => !BUILT_IN.includes(name), `expected another name than ${BUILT_IN.join(', ')}`),
      indicator,
    )
    .default({}),
  /** Requests a second by which the live URL and the color that was left are asked all the time. */
  probes: count.max(50).default(2),
  /** What becomes of a release of which nothing certain can be said by `maxTime`. */
  onDoubt: z.enum(['keep-and-alert', 'rollback']).default('keep-and-alert'),
})
export type BakeSettings = z.infer<typeof bake>
