/**
 * The language of deploy.yaml. Settings stand at the top for all environments and again in an environment
 * for that one.
 */
import { z } from 'zod'
import { bake } from './bake.ts'
import { accounts, pageQuality, performance, security, smoke, ui, type Severity } from './gates.ts'
import { preflight, windows } from './preflight.ts'
import { notify } from './notify.ts'
import { scan } from './scan.ts'
import { stages } from './stages.ts'
import { count, dnsLabel, duration, httpUrl, path } from './scalars.ts'

const witness = z.strictObject({
  path: path.default('/'),
  /** Requests a second in all: half on new connections, half on keep-alive ones. */
  rate: count.max(2000).default(40),
  /** How many keep-alive connections. */
  connections: count.max(200).default(10),
  /** How long users are stood in for before the switch, and after the new color answers alone. */
  before: duration.prefault('1s'),
  after: duration.prefault('3s'),
  timeout: duration.prefault('5s'),
  /** Where the answer's JSON names the color that answers, such as `color` or `build.color`. */
  color: z.string().min(1).optional(),
  allowedFailures: z.int().nonnegative().default(0),
})
export type WitnessSettings = z.infer<typeof witness>

const timeouts = z.strictObject({
  /**
   * From applying the idle color until all of it is ready; as long as Kubernetes' own progress deadline. What is broken
   * ends it sooner, so it is only used up by what might still come.
   */
  rollout: duration.prefault('10m'),
  /** From a container's start until its pod is ready; then it is called broken, not slow. */
  ready: duration.prefault('1m'),
  /**
   * How long a pod may find no node. A second color is what makes a cluster autoscaler add one, which takes it minutes;
   * also where no node matches at all, as those of a pool may be at zero. Without an autoscaler `30s` is enough. Of a
   * volume claim that is missing no node makes up: that is called broken after 30 s at the latest.
   */
  schedule: duration.prefault('5m'),
  /** From a switch until every EndpointSlice holds the new color's pods only. */
  endpoints: duration.prefault('30s'),
  /**
   * From there until new connections to the address that users have lead to the new color alone. Proxies in the
   * cluster take a second; a cloud's load balancer that follows endpoints (GCE NEG, ALB) takes 10 to 30 s.
   */
  reach: duration.prefault('60s'),
  /** For the migration of the last run to end, where it still runs; and again for this one, its wait for a node included. */
  migration: duration.prefault('10m'),
})

const gradual = z.strictObject({
  /** Pods of the new color that serve beside all of the live one at first: their share of all is users' share of it. */
  first: count.default(1),
  /** How long it is looked at whom they serve, and then again whom all pods of both colors serve. */
  hold: duration.prefault('60s'),
  full: duration.prefault('60s'),
})

function optional<T extends z.ZodType>(schema: T) {
  return z.union([z.literal(false), schema]).optional()
}

const settings = {
  strategy: z.enum(['blue-green', 'rolling']),
  /**
   * `overlap` sends traffic to both colors for a while; for load balancers that need it. `gradual` sends a share of new
   * connections to few pods of the new color first, then to all of them, and looks each time before it goes on.
   */
  switch: z.enum(['direct', 'overlap', 'gradual']),
  overlap: duration,
  gradual,
  smoke,
  accounts: accounts.optional(),
  /** Kinds of checks beside smoke; `false` where one is not wanted. */
  ui: optional(ui),
  pageQuality: optional(pageQuality),
  performance: optional(performance),
  security: optional(security),
  /** One deadline for all checks. */
  verification: duration,
  witness,
  /** Between the switch and touching the old color. */
  drain: duration,
  afterSwitch: z.enum(['recycle', 'keep', 'scale-down']),
  /** How a release is watched once users are on it; `false` where nobody looks. */
  bake: z.union([z.literal(false), bake]),
  timeouts,
  /** How long a lock outlives a holder that stopped renewing it. Each third of it takes a kubectl. */
  lock: duration.refine((ms) => ms >= 5000, 'expected at least 5s: a lock is renewed three times in it'),
  /** How many deployment records are kept. */
  history: count.min(2).max(1000),
  /** The checklist before a deployment; without it, or `false`, nothing is asked. */
  preflight: optional(preflight),
  /** When deployments may begin, and when they are frozen. A rollback may always. */
  windows: windows.optional(),
  /** Who is told of what, a channel under a name: docs/notifications.md. */
  notify: notify.optional(),
  /** Where a run's report can be read; `{id}` and `{environment}` stand for its record's. */
  reportUrl: httpUrl.optional(),
  /** Where docs/monitoring-alerting-guide.md can be read: each alert links to its section. */
  runbooks: httpUrl.optional(),
  /** A folder that each record which has ended is written into: it outlives the cluster's `history`. */
  archive: z.string().min(1).optional(),
}

export const defaults = {
  strategy: 'blue-green',
  switch: 'direct',
  overlap: '10s',
  gradual: {},
  smoke: [],
  verification: '5m',
  witness: {},
  drain: '10s',
  afterSwitch: 'recycle',
  bake: {},
  timeouts: {},
  lock: '15s',
  history: 50,
}

/** What an image must have been through before it may be deployed to an environment. */
const requires = z.strictObject({
  /** Passed for the commit that the image was built of. */
  stages: z.array(z.enum(['lint', 'test', 'security-scan', 'build'])).default([]),
  /** How long ago its security scan may have been. */
  maxScanAge: duration.optional(),
  /** The environment that it was live in before. */
  passed: z.string().optional(),
})

const environment = z.strictObject({
  context: z.string().min(1),
  namespace: dnsLabel,
  /** A folder that holds `painted/`, `shared/` and, if there are migrations, `migration/`. */
  manifests: z.string().min(1),
  /** Where users reach the application. */
  url: httpUrl,
  /** Where the idle color can be reached; without it, `kubectl port-forward` is used. */
  previewUrl: httpUrl.optional(),
  requires: requires.optional(),
})

/** What stands in the file, before the environment's settings are laid over the general ones. */
export const deployFile = z.strictObject({
  app: dnsLabel.max(40),
  image: z.string().regex(/^([^\s@/]+\/)*[^\s@/:]+$/, 'expected an image name without tag and digest'),
  stages: stages.optional(),
  scan: scan.optional(),
  ...z.strictObject(settings).partial().shape,
  environments: z
    .record(z.string(), z.strictObject({ ...environment.shape, ...z.strictObject(settings).partial().shape }))
    .refine((all) => Object.keys(all).length > 0, 'expected at least one environment')
    .superRefine((all, problems) => {
      for (const [name, { requires: wanted }] of Object.entries(all)) {
        if (wanted?.passed === undefined) continue
        if (wanted.passed !== name && Object.hasOwn(all, wanted.passed)) continue
        const path = [name, 'requires', 'passed']
        problems.addIssue({ code: 'custom', path, message: 'expected another environment of this file' })
      }
    }),
})

/** What the stages before a deployment read of it: they are the same for all environments. */
export const pipelineFile = deployFile.pick({ app: true, image: true, stages: true, scan: true })

/** An environment's own settings over the general ones over the defaults. */
export const merged = z.object({ ...environment.shape, ...settings })

/** With the place of the environment that must have been passed, and how strict a scan must have been. */
export type Requires = Omit<z.infer<typeof requires>, 'passed'> & {
  passed?: { name: string; context: string; namespace: string } | undefined
  /** What its scan must have failed on, if not on less: `scan.failOn`. */
  failOn: Severity
}

/** One environment, with every setting decided. Durations are in ms. */
export type Environment = Omit<z.infer<typeof merged>, 'requires'> & {
  name: string
  app: string
  image: string
  requires?: Requires | undefined
  /** Values that `deploy.yaml` takes from variables which are named like secrets: they stand in nothing that is kept. */
  secrets?: readonly string[] | undefined
}
