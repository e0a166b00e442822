/**
 * The questions that a script in a hurry begins with, asked before its own modules are loaded: this file imports next
 * to nothing. What is not plain enough to be read at a glance is asked in its time, as everywhere else.
 */
import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'
import { knownAhead, startAhead } from '../ahead.ts'
import {
  currentContext,
  getApp,
  KUBECTL_VARIABLES,
  patchService,
  scoped,
  type Scope,
} from '../cluster/commands.ts'

/**
 * The application as it is, and the context that is set. With `--yes`, for a script that moves users by one patch: its
 * kubectl, which then waits for that patch.
 */
export function askAhead(args: string[], { patch = false } = {}): void {
  const { env, config = 'deploy.yaml', context, yes, help } = flagsOf(args)
  const settings = parsed(config)
  const app = plain(settings, 'app')
  const scope = scopeOf(settings, env)
  if (app === undefined || !scope || help) return
  startAhead(scoped(scope, getApp(app)), KUBECTL_VARIABLES)
  const current = context === undefined ? firstContext() : undefined
  if (current !== undefined) knownAhead(scoped(scope, currentContext()), current)
  if (patch && yes) startAhead(scoped(scope, patchService(app, [])), KUBECTL_VARIABLES)
}

function flagsOf(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      env: { type: 'string' },
      config: { type: 'string' },
      context: { type: 'string' },
      yes: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
    strict: false,
  })
  return { ...values, env: plain(values, 'env'), config: plain(values, 'config') }
}

function scopeOf(settings: unknown, environment = ''): Scope | undefined {
  const context = plain(settings, 'environments', environment, 'context')
  const namespace = plain(settings, 'environments', environment, 'namespace')
  return context === undefined || namespace === undefined ? undefined : { context, namespace }
}

/**
 * The context that kubectl would choose, as far as files say it: that of the first which names one.
 * https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
function firstContext(): string | undefined {
  const { KUBECONFIG, HOME = '/' } = process.env
  const files = KUBECONFIG ? KUBECONFIG.split(delimiter).filter(Boolean) : [join(HOME, '.kube/config')]
  const configs = files.map(parsed)
  if (configs.includes(undefined)) return undefined
  const contexts = configs.map((config) => plain(config, 'current-context'))
  return contexts.find((context) => context !== undefined)
}

/** Undefined where it cannot be read: that is told in its time. */
function parsed(file: string): unknown {
  try {
    return Bun.YAML.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** A word in which no variable stands. */
function plain(settings: unknown, ...path: readonly string[]): string | undefined {
  let value = settings
  for (const name of path) value = isMapping(value) ? value[name] : undefined
  return typeof value === 'string' && /^[^${}]+$/.test(value) ? value : undefined
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null
