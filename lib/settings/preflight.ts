/** The checklist before a deployment, and when deployments may be at all: `preflight` and `windows` in deploy.yaml. */
import { z } from 'zod'
import { duration, httpUrl, path, variable } from './scalars.ts'

/** In the order in which they are shown: the seven of the process, then what a cluster and a calendar can say. */
export const boxIds = [
  'tests',
  'scan',
  'staging',
  'migrations',
  'api',
  'docs',
  'team',
  'room',
  'disruption',
  'probes',
  'shutdown',
  'image',
  'access',
  'clock',
  'certificate',
  'strays',
  'windows',
  'drill',
] as const

export type BoxId = (typeof boxIds)[number]

const boxId = z.enum(boxIds)

const globs = z.array(z.string().min(1)).min(1)

const ci = z.strictObject({
  /** `owner/name` */
  repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'expected owner/name'),
  /** Of GitHub Enterprise another one. */
  api: httpUrl.default('https://api.github.com'),
  /** The variable that holds a token which may read checks; a public repository needs none. */
  token: variable.default('GITHUB_TOKEN'),
  /** Checks that must be among those of the commit; all others that there are must have passed, too. */
  checks: z.array(z.string().min(1)).default([]),
})

const migrations = z.strictObject({
  /** Patterns of files from the repository's root, such as `db/migrations/*.sql`. */
  files: globs,
  /** Of another one than PostgreSQL a person says whether it is backward compatible. */
  dialect: z.enum(['postgresql', 'mysql', 'sqlite', 'other']).default('postgresql'),
})

const api = z.strictObject({
  /** The OpenAPI document, from the repository's root. */
  file: z.string().min(1),
  /** Where what is live answers with its own; without it, the file as it was at the live commit. */
  live: path.optional(),
})

/** `false` says that the application has none, and that the box is empty. */
const orNone = <T extends z.ZodType>(schema: T) => z.union([z.literal(false), schema]).optional()

export const preflight = z
  .strictObject({
    /** Boxes that are shown and stop nobody. */
    warn: z.array(boxId).default([]),
    /** Boxes that nobody asks for. */
    off: z.array(boxId).default([]),
    ci: ci.optional(),
    migrations: orNone(migrations),
    api: orNone(api),
    /** Files of which one at least changes with a release that is documented. */
    docs: orNone(globs),
    /** How long ago the last rollback may have been shown to work, here or in the environment that is passed before. */
    drillWithin: duration.prefault('720h'),
    /** How long the live URL's certificate must still be good. */
    certificate: duration.prefault('168h'),
    /** By how much this machine's clock may differ from the API server's. */
    clock: duration.prefault('30s'),
  })
  .superRefine(({ warn, off }, problems) => {
    for (const id of warn.filter((each) => off.includes(each)))
      problems.addIssue({ code: 'custom', path: ['off'], message: `${id} is in warn, too` })
  })

export type PreflightSettings = z.infer<typeof preflight>

export const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'expected a time such as 09:30')

const open = z
  .strictObject({
    days: z.array(z.enum(days)).min(1).default(['mon', 'tue', 'wed', 'thu', 'fri']),
    from: time,
    /** One that is not after `from` is on the next day. */
    to: time,
  })
  .refine(({ from, to }) => from !== to, 'from and to are the same')

const freeze = z
  .strictObject({
    /** A day, or a local time on it. */
    from: z.union([z.iso.date(), z.iso.datetime({ local: true, offset: false })]),
    /** The last day, or the local time from which it is over. */
    to: z.union([z.iso.date(), z.iso.datetime({ local: true, offset: false })]),
    reason: z.string().min(1),
  })
  .refine(({ from, to }) => from <= to || from.startsWith(to), 'it ends before it begins')

export const windows = z.strictObject({
  /** In the words of the IANA time zone database. */
  zone: z.string().refine(isZone, 'expected a time zone such as Europe/Berlin or UTC'),
  /** When deployments may begin; without any, always but in a freeze. */
  open: z.array(open).default([]),
  freezes: z.array(freeze).default([]),
})

export type Windows = z.infer<typeof windows>

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
