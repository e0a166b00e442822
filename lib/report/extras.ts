/**
 * What a record may hold beside its own fields: the readings of a bake, and what became of notifications. The one place
 * that knows their form; what is not of that form is as good as absent, and the rest of the report goes on.
 */
import { z } from 'zod'
import { field } from '../json.ts'
import { oddsOf } from '../monitor/judge.ts'

const count = z.tuple([z.number(), z.number()])

const reading = z.object({
  at: z.string(),
  /** Of each indicator: how many were bad, of how many, in each color. */
  counts: z
    .record(
      z.string(),
      z
        .object({ old: count.optional(), live: count.optional(), new: count.optional() })
        .transform(({ old, live, ...own }) => ({ old, new: live ?? own.new })),
    )
    .default({}),
  /** Of each indicator: the evidence against the release, n to 1. */
  odds: z.record(z.string(), z.number()).default({}),
})

const bakeForm = z.object({
  startedAt: z.string(),
  until: z.string(),
  /** Of each indicator, the share of bad ones that is tolerated. */
  limits: z
    .record(
      z.string(),
      z.union([z.number(), z.object({ share: z.number() }).transform(({ share }) => share)]),
    )
    .default({}),
  /** What nobody looked at, and why. */
  notCovered: z.array(z.string()).default([]),
  verdict: z.enum(['passed', 'failed', 'environment', 'inconclusive', 'superseded']).optional(),
  reason: z.string().optional(),
  readings: z.array(reading).default([]),
})

export type Bake = z.infer<typeof bakeForm>

const notificationForm = z.object({
  state: z.string(),
  channel: z.string(),
  at: z.string(),
  outcome: z.string(),
})

export type Notification = z.infer<typeof notificationForm>

const acknowledgedForm = z.object({ id: z.string(), reason: z.string(), by: z.string() })

export interface Extras {
  /** Boxes of the checklist that a person answered for. */
  acknowledged: z.infer<typeof acknowledgedForm>[]
  bake?: Bake | undefined
  notifications: Notification[]
}

const form = z.object({
  bake: bakeForm.optional().catch(undefined),
  notifications: z.array(notificationForm).catch([]).default([]),
  acknowledged: z.array(acknowledgedForm).catch([]).default([]),
})

/** From a record as it was written. Pure. */
export function extrasOf(record: unknown): Extras {
  const { data } = form.safeParse(record)
  return data ?? { notifications: [], acknowledged: [] }
}

/** The odds at which a bake rolls back: one healthy release in a hundred at most, however many indicators bet. */
export const oddsToStop = ({ limits, readings }: Bake): number =>
  oddsOf(Math.max(1, Object.keys(limits).length || Object.keys(readings.at(-1)?.odds ?? {}).length))

/** There and back to show that it works: no release was wrong, and none is counted. */
export const isDrill = (record: unknown): boolean => field(record, 'drill') === true
