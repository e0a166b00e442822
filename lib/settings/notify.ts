/** Who is told of what: `notify` in deploy.yaml, a channel under a name of its own. Secrets are names of variables. */
import { z } from 'zod'
import { httpUrl, variable } from './scalars.ts'

/** What a change of what is live comes to. */
export const states = [
  'started',
  'verified',
  'switched',
  'baking',
  'succeeded',
  /** Before the switch, or taken back without one: no user was moved. */
  'stopped',
  /** By itself. */
  'rolled-back',
  'rolled-back-by-hand',
  'rollback-failed',
  'needs-person',
  'lock-taken-over',
  'superseded',
  /** Both colors fail: going back would not help. */
  'environment',
] as const

export type State = (typeof states)[number]

export const levels = ['info', 'warning', 'critical'] as const

export type Level = (typeof levels)[number]

/** By state, by how bad it is, or `outcome`: whatever an attempt ends in. */
const on = z.array(z.enum([...states, ...levels, 'outcome', 'all'])).min(1)

export type Wanted = z.infer<typeof on>[number]

const address = z.string().regex(/^[^\s<>,;]+@[^\s<>,;]+$/, 'expected an e-mail address')

const slack = z
  .strictObject({
    kind: z.literal('slack'),
    /** Variable that holds the address of an incoming webhook: one message a state. */
    webhook: variable.optional(),
    /** Variable that holds a bot token (chat:write): one thread a deployment, its parent says how it stands. */
    token: variable.optional(),
    /** Where the bot writes. */
    channel: z.string().min(1).optional(),
    api: httpUrl.default('https://slack.com/api'),
    on: on.default(['critical']),
  })
  .refine(
    ({ webhook, token, channel }) =>
      webhook === undefined ? token !== undefined && channel !== undefined : token === undefined,
    'expected either "webhook", or "token" and "channel"',
  )

const teams = z.strictObject({
  kind: z.literal('teams'),
  /** Variable that holds the address of a Workflows webhook. */
  webhook: variable,
  on: on.default(['switched', 'outcome', 'warning', 'critical']),
})

const email = z.strictObject({
  kind: z.literal('email'),
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).default(587),
  /** Either way the connection is encrypted and the certificate checked before anything is said. */
  tls: z.enum(['starttls', 'tls']).default('starttls'),
  user: z.string().min(1).optional(),
  password: variable.optional(),
  from: address,
  to: z.array(address).min(1),
  on: on.default(['outcome']),
})

const webhook = z.strictObject({
  kind: z.literal('webhook'),
  url: httpUrl,
  /** Variable that holds the secret: `whsec_` and base64. While keys rotate, several with a blank between. */
  secret: variable,
  on: on.default(['all']),
})

const cdevents = z.strictObject({
  kind: z.literal('cdevents'),
  url: httpUrl,
  /** Variable that holds a bearer token. */
  token: variable.optional(),
  on: on.default(['all']),
})

const github = z.strictObject({
  kind: z.literal('github'),
  repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'expected owner/name'),
  token: variable,
  /** What was deployed, as the repository knows it: a tag, a branch or a commit. */
  ref: z.string().min(1).default('{version}'),
  api: httpUrl.default('https://api.github.com'),
  on: on.default(['all']),
})

const grafana = z.strictObject({
  kind: z.literal('grafana'),
  url: httpUrl,
  token: variable,
  on: on.default(['switched', 'outcome', 'environment']),
})

const channel = z.discriminatedUnion('kind', [slack, teams, email, webhook, cdevents, github, grafana])

export type Channel = z.infer<typeof channel>
export type ChannelOf<Kind extends Channel['kind']> = Extract<Channel, { kind: Kind }>

/** `false` in an environment: a channel that is declared for all is not told of this one. */
export const notify = z.record(
  z.string().regex(/^[a-z0-9][-a-z0-9]{0,40}$/, 'expected a name of a-z, 0-9 and -'),
  z.union([z.literal(false), channel]),
)

export type NotifySettings = z.infer<typeof notify>
