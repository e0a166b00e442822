/** The words of the two colors: their names, the keys that the project writes, what a release and a switch are. */
import { z } from 'zod'

export const colors = ['blue', 'green'] as const

export type Color = (typeof colors)[number]

/** Where a release runs: in a color, or without one. */
export type Place = Color | 'plain'

export const other = (color: Color): Color => (color === 'blue' ? 'green' : 'blue')

/** Annotations and labels that the project writes. All of its state is in these, in Leases and in ConfigMaps. */
export const key = {
  /** On the live Service: the token of whoever holds the lock; every switch tests it (S3). */
  lock: 'deploy-scripts/lock',
  /** On the live Service: the last switch, written by the very patch that moves traffic (S5). */
  switch: 'deploy-scripts/switch',
  /** On a color's Deployment and its pods: the record that made it. */
  release: 'deploy-scripts/release',
  version: 'deploy-scripts/version',
  image: 'deploy-scripts/image',
  /** On a record: whose it is, and how it went. */
  record: 'deploy-scripts/record',
  outcome: 'deploy-scripts/outcome',
  /** On a record: somebody is still to be told of it. */
  notify: 'deploy-scripts/notify',
  /** On the Lease that holds deployments up: why, and until when. */
  reason: 'deploy-scripts/reason',
  until: 'deploy-scripts/until',
} as const

export const names = (app: string) => ({
  live: app,
  preview: `${app}-preview`,
  lease: `${app}-deploy`,
  hold: `${app}-hold`,
  deployment: (place: Place) => (place === 'plain' ? app : `${app}-${place}`),
})

/** What a color runs. `release` is the id of the record that put it there. */
export interface Release {
  release: string
  version: string
  image: string
}

const releaseForm = z.object({ release: z.string(), version: z.string(), image: z.string() })

const sideForm = releaseForm.extend({ color: z.enum([...colors, 'plain']) })

/** One end of a switch: a color, and what it ran. */
export type Side = z.infer<typeof sideForm>

/** The last change of traffic, as the live Service tells it. */
export const switchForm = z.object({
  id: z.string(),
  kind: z.enum(['deploy', 'rollback', 'switch', 'automatic-rollback', 'repair']),
  /** With the pods that were ready when it was left: a way back needs no more. */
  from: sideForm.extend({ ready: z.number().optional() }).optional(),
  to: sideForm,
  by: z.string(),
  at: z.string(),
  reason: z.string().optional(),
  /** The selector holds both colors for a while, on the way from `from` to `to`. */
  overlap: z.boolean().optional(),
  /** Of an overlap in steps (`switch: gradual`): whether few pods of `to` serve, or all of them. */
  gradual: z.enum(['first', 'full']).optional(),
})

export type Switch = z.infer<typeof switchForm>
