/** deploy.yaml: parsed once, every value typed, every mistake named with file, line and path. */
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { DeployError, Exit } from '../errors.ts'
import { isSecret } from '../secrets.ts'
import { defaults, deployFile, merged, pipelineFile, type Environment, type Requires } from './file.ts'
import { scan as scanSettings } from './scan.ts'
import { contradictions } from './whole.ts'
import { readYaml } from './yaml.ts'

/**
 * Reads the file and decides every setting of one environment.
 * @throws DeployError (2) listing each problem with its line
 */
export function loadEnvironment(file: string, name: string | undefined, variables: Variables): Environment {
  const { data, raw, at, secrets } = load(file, deployFile, variables, (content) => content)
  const known = Object.keys(data.environments)
  if (name === undefined) throw new DeployError(`--env is required: ${known.join(', ')}`, Exit.usage)
  if (!known.includes(name)) {
    throw new DeployError(`${file} has no environment "${name}": it has ${known.join(', ')}`, Exit.usage)
  }
  const { environments, ...general } = z.record(z.string(), z.json()).parse(raw)
  const own = z.record(z.string(), z.record(z.string(), z.json())).parse(environments)[name]
  const layers = merged.parse(overlay(overlay(defaults, general), own))
  const wrong = contradictions(layers).map(({ setting, problem }) => {
    const place =
      setting in general && !(setting in (isMapping(own) ? own : {})) ? [] : ['environments', name]
    return `${at([...place, setting])}: ${name}: ${setting}: ${problem}`
  })
  if (wrong.length > 0) throw new DeployError(wrong.join('\n'), Exit.usage)
  const { app, image } = data
  const from = (path: string): string => resolve(dirname(file), path)
  const ui = layers.ui && { ...layers.ui, specs: from(layers.ui.specs) }
  const archive = layers.archive === undefined ? undefined : from(layers.archive)
  const requires = layers.requires && placed(layers.requires, data)
  return { ...layers, name, app, image, manifests: from(layers.manifests), ui, requires, archive, secrets }
}

type File = z.infer<typeof deployFile>

function placed(
  { passed, ...own }: NonNullable<File['environments'][string]['requires']>,
  { environments, scan }: File,
): Requires {
  const { failOn } = scan ?? scanSettings.parse({})
  const before = passed === undefined ? undefined : environments[passed]
  if (passed === undefined || !before) return { ...own, failOn }
  const { context, namespace } = before
  return { ...own, failOn, passed: { name: passed, context, namespace } }
}

/**
 * Reads what the stages before a deployment need, and nothing of any environment. Folders are absolute.
 * @throws DeployError (2) listing each problem with its line
 */
export function loadPipeline(file: string, variables: Variables): z.infer<typeof pipelineFile> {
  const known = Object.keys(pipelineFile.shape)
  const { data } = load(file, pipelineFile, variables, (content) =>
    isMapping(content) ? Object.fromEntries(known.map((key) => [key, content[key]])) : content,
  )
  const { stages, scan } = data
  const from = (path: string): string => resolve(dirname(file), path)
  return {
    ...data,
    ...(stages && { stages: { ...stages, folder: from(stages.folder) } }),
    ...(scan && { scan: { ...scan, folder: from(scan.folder), waivers: from(scan.waivers) } }),
  }
}

function load<T>(
  file: string,
  schema: z.ZodType<T>,
  variables: Variables,
  part: (content: unknown) => unknown,
): { data: T; raw: unknown; at: (location: readonly PropertyKey[]) => string; secrets: string[] } {
  const hint = 'name the configuration with --config FILE, or run this where deploy.yaml is'
  const { content, at } = readYaml(file, hint)
  const problems: string[] = []
  const secrets = new Set<string>()
  const raw = expand(part(content), [], (name, location) => {
    const value = variables[name]
    if (!value)
      problems.push(`${at(location)}: ${dotted(location)}: the environment variable ${name} is not set`)
    else if (isSecret(name, value)) secrets.add(value)
    return value ?? ''
  })
  const parsed = schema.safeParse(raw)
  for (const { location, message } of (parsed.error?.issues ?? []).flatMap(told))
    problems.push(`${at(location)}: ${dotted(location)}: ${message}`)
  if (problems.length > 0 || !parsed.success) throw new DeployError(problems.join('\n'), Exit.usage)
  return { data: parsed.data, raw, at, secrets: [...secrets] }
}

interface Problem {
  location: PropertyKey[]
  message: string
}

function told(issue: z.core.$ZodIssue): Problem[] {
  const { path: location, message } = issue
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((name) => ({ location: [...location, name], message: 'unknown setting' }))
  if (issue.code === 'invalid_key')
    return issue.issues.map((inside) => ({ location, message: inside.message }))
  if (issue.code !== 'invalid_union') return [{ location, message }]
  // A kind that may be `false`: what is wrong is inside it, unless it is something else altogether.
  const inside = issue.errors.flat().flatMap(told)
  const deeper = inside.filter((problem) => problem.location.length > 0)
  if (deeper.length === 0)
    return [{ location, message: inside.map((problem) => problem.message).join(', or ') }]
  return deeper.map((problem) => ({ ...problem, location: [...location, ...problem.location] }))
}

type Variables = Record<string, string | undefined>

/** `${NAME}` in a string is the environment variable of that name, which must be set. */
function expand(
  value: unknown,
  location: readonly PropertyKey[],
  variable: (name: string, location: readonly PropertyKey[]) => string,
): unknown {
  if (typeof value === 'string')
    return value.replace(/\$\{(\w+)\}/g, (_, name: string) => variable(name, location))
  if (Array.isArray(value)) return value.map((item, i) => expand(item, [...location, i], variable))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, expand(item, [...location, key], variable)]),
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

function dotted(location: readonly PropertyKey[]): string {
  return location.map(String).join('.') || 'the file'
}
