/**
 * deploy.yaml: parsed once, every value typed, every mistake named with file, line and path. Settings stand
 * at the top for all environments and again in an environment for that one.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { LineCounter, parseDocument, type Document } from 'yaml'
import { z } from 'zod'
import { DeployError, Exit, sentence } from './errors.ts'

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `500ms`, `10s`, `2m`, `1h` → milliseconds. */
const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'expected a duration such as 500ms, 10s, 2m or 1h')
  .transform((text) => Number.parseFloat(text) * (units[text.replace(/^[\d.]+/, '')] ?? Number.NaN))

const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'expected a DNS label: a-z, 0-9 and -')
const httpUrl = z.url({ protocol: /^https?$/, error: 'expected an http:// or https:// address' })
const path = z.string().startsWith('/', 'expected a path that starts with /')
const count = z.int().positive()

const smokeCheck = z.strictObject({
  name: z.string().min(1),
  method: z.enum(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
  path,
  headers: z.record(z.string(), z.string()).default({}),
  body: z.string().optional(),
  expect: z.strictObject({
    status: z.int().min(100).max(599).default(200),
    /** Each of these must be in the answer's JSON with the same value; what else is there does not matter. */
    json: z.json().optional(),
    text: z.string().min(1).optional(),
    within: duration.prefault('5s'),
  }),
})
export type SmokeCheck = z.infer<typeof smokeCheck>

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
  /** From applying the idle color until all of it is ready. */
  rollout: duration.prefault('5m'),
  /** From a container's start until its pod is ready; then it is called broken, not slow. */
  ready: duration.prefault('1m'),
  /** How long a pod may be unschedulable (a cluster autoscaler may be adding a node). */
  schedule: duration.prefault('30s'),
  /** From a switch until every EndpointSlice holds the new color's pods only. */
  endpoints: duration.prefault('30s'),
  migration: duration.prefault('5m'),
})

const settings = {
  strategy: z.enum(['blue-green', 'rolling']),
  /** `overlap` sends traffic to both colors for a while; for load balancers that need it. */
  switch: z.enum(['direct', 'overlap']),
  overlap: duration,
  smoke: z.array(smokeCheck),
  witness,
  /** Between the switch and touching the old color. */
  drain: duration,
  afterSwitch: z.enum(['recycle', 'keep', 'scale-down']),
  timeouts,
  /** How long a lock outlives a holder that stopped renewing it. */
  lock: duration,
  /** How many deployment records are kept. */
  history: count.min(2).max(1000),
}

const defaults = {
  strategy: 'blue-green',
  switch: 'direct',
  overlap: '10s',
  smoke: [],
  witness: {},
  drain: '10s',
  afterSwitch: 'recycle',
  timeouts: {},
  lock: '15s',
  history: 50,
}

const environment = z.strictObject({
  context: z.string().min(1),
  namespace: dnsLabel,
  /** A folder that holds `painted/`, `shared/` and, if there are migrations, `migration/`. */
  manifests: z.string().min(1),
  /** Where users reach the application. */
  url: httpUrl,
  /** Where the idle color can be reached; without it, `kubectl port-forward` is used. */
  previewUrl: httpUrl.optional(),
})

/** What stands in the file, before the environment's settings are laid over the general ones. */
export const deployFile = z.strictObject({
  app: dnsLabel.max(40),
  image: z.string().regex(/^([^\s@/]+\/)*[^\s@/:]+$/, 'expected an image name without tag and digest'),
  ...z.strictObject(settings).partial().shape,
  environments: z
    .record(z.string(), z.strictObject({ ...environment.shape, ...z.strictObject(settings).partial().shape }))
    .refine((all) => Object.keys(all).length > 0, 'expected at least one environment'),
})

const merged = z.object({ ...environment.shape, ...settings })

/** One environment, with every setting decided. Durations are in ms. */
export type Environment = z.infer<typeof merged> & { name: string; app: string; image: string }

/**
 * Reads the file and decides every setting of one environment.
 * @throws DeployError (2) listing each problem with its line
 */
export function loadEnvironment(file: string, name: string | undefined, variables: Variables): Environment {
  const { document, lines, content } = readYaml(file)
  const problems: string[] = []
  const at = (location: readonly PropertyKey[]) => `${file}:${lineOf(document, lines, location)}`
  const raw = expand(content, variables, [], (location, problem) =>
    problems.push(`${at(location)}: ${dotted(location)}: ${problem}`),
  )
  const parsed = deployFile.safeParse(raw)
  for (const { path: location, message, ...issue } of parsed.error?.issues ?? []) {
    if (!('keys' in issue)) problems.push(`${at(location)}: ${dotted(location)}: ${message}`)
    else
      for (const where of issue.keys.map((name) => [...location, name]))
        problems.push(`${at(where)}: ${dotted(where)}: unknown setting`)
  }
  if (problems.length > 0 || !parsed.success) throw new DeployError(problems.join('\n'), Exit.usage)

  const known = Object.keys(parsed.data.environments)
  if (name === undefined) throw new DeployError(`--env is required: ${known.join(', ')}`, Exit.usage)
  if (!known.includes(name)) {
    throw new DeployError(`${file} has no environment "${name}": it has ${known.join(', ')}`, Exit.usage)
  }
  const { environments, ...general } = z.record(z.string(), z.json()).parse(raw)
  const own = z.record(z.string(), z.record(z.string(), z.json())).parse(environments)[name]
  const layers = merged.parse(overlay(overlay(defaults, general), own))
  const { app, image } = parsed.data
  return { ...layers, name, app, image, manifests: resolve(dirname(file), layers.manifests) }
}

type Variables = Record<string, string | undefined>

function readYaml(file: string): { document: Document.Parsed; lines: LineCounter; content: unknown } {
  const lines = new LineCounter()
  const document = parseDocument(readText(file), { lineCounter: lines, prettyErrors: false })
  const broken = document.errors.map(
    ({ pos, message }) => `${file}:${lines.linePos(pos[0]).line}: ${message.split('\n')[0]}`,
  )
  if (broken.length > 0) throw new DeployError(broken.join('\n'), Exit.usage)
  try {
    return { document, lines, content: document.toJS() }
  } catch (error) {
    throw new DeployError(`${file}:1: ${sentence(error)}`, Exit.usage) // an alias of nothing, or a bomb of them
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const hint = 'name the configuration with --config FILE, or run this where deploy.yaml is'
    throw new DeployError(`${file} cannot be read (${sentence(error)}): ${hint}`, Exit.usage)
  }
}

/** `${NAME}` in a string is the environment variable of that name, which must be set. */
function expand(
  value: unknown,
  variables: Variables,
  location: readonly PropertyKey[],
  problem: (location: readonly PropertyKey[], text: string) => void,
): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{(\w+)\}/g, (_, name: string) => {
      const found = variables[name]
      if (!found) problem(location, `the environment variable ${name} is not set`)
      return found ?? ''
    })
  }
  if (Array.isArray(value)) return value.map((item, i) => expand(item, variables, [...location, i], problem))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, expand(item, variables, [...location, key], problem)]),
  )
}

/** The upper mapping's settings replace the lower's; mappings are merged, lists and scalars are not. */
function overlay(lower: unknown, upper: unknown): unknown {
  if (!isMapping(lower) || !isMapping(upper)) return upper === undefined ? lower : upper
  const keys = new Set([...Object.keys(lower), ...Object.keys(upper)])
  return Object.fromEntries([...keys].map((key) => [key, overlay(lower[key], upper[key])]))
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The line on which a path, or the nearest thing above it, stands. */
function lineOf(document: Document.Parsed, lines: LineCounter, location: readonly PropertyKey[]): number {
  for (let depth = location.length; depth > 0; depth--) {
    const node: unknown = document.getIn(location.slice(0, depth), true)
    if (isMapping(node) && Array.isArray(node.range)) return lines.linePos(Number(node.range[0])).line
  }
  return 1
}

function dotted(location: readonly PropertyKey[]): string {
  return location.map(String).join('.') || 'the file'
}
