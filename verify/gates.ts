/**
 * Which kinds of checks an environment gets, in which order, and what becomes of a kind that breaks. A kind is
 * loaded when it runs: who only rolls back waits for no browser library.
 */
import type { CheckResult, Gate, Gates, KeptCheck, Target } from '../lib/check.ts'
import { objections } from '../lib/check.ts'
import { text } from '../lib/cli/cli.ts'
import { seconds } from '../lib/clock.ts'
import { DeployError, Exit, sentence } from '../lib/errors.ts'
import { Secrets } from '../lib/secrets.ts'
import type { Environment } from '../lib/settings/file.ts'
import type { security } from './security.ts'
import type { Skip } from '../lib/settings/gates.ts'
import { harmless } from '../lib/text.ts'
import { redactFolder } from './redact.ts'
import { keepResults, redactResult } from './results.ts'
import { without } from './skips.ts'
import { askedAgain, keptCheck, smoke } from './smoke.ts'

export const kinds = ['smoke', 'performance', 'ui', 'security', 'page-quality'] as const
export type Kind = (typeof kinds)[number]

/**
 * The order: nothing else is tried on what smoke has failed; performance runs alone, so that it measures the
 * application and not the browser; then what does not disturb each other, side by side.
 */
const order: readonly (readonly Kind[])[] = [['smoke'], ['performance'], ['ui', 'security'], ['page-quality']]

export interface Choice {
  /** Only these kinds; without it, all that deploy.yaml declares. */
  only?: readonly Kind[] | undefined
  /** Kinds that somebody leaves out, and why: it is recorded. */
  skip?: readonly Kind[] | undefined
  reason?: string | undefined
}

/** From `--only`, `--skip` and `--reason`. @throws DeployError (2) */
export function choiceOf(flags: Readonly<Record<string, string | boolean | undefined>>): Choice {
  const listed = (flag: 'only' | 'skip'): Kind[] | undefined => {
    const value = flags[flag]
    if (typeof value !== 'string') return undefined
    return value.split(',').map((name) => {
      const kind = kinds.find((known) => known === name.trim())
      if (!kind) throw new DeployError(`--${flag} names ${kinds.join(', ')}, not "${name}"`, Exit.usage)
      return kind
    })
  }
  const reason = text(flags, 'reason')
  const [only, skip] = [listed('only'), listed('skip')]
  if (skip && reason === undefined)
    throw new DeployError('--skip needs --reason: it goes into the record', Exit.usage)
  return { only, skip, reason }
}

/** How often a kind's progress is told, in ms: where there is no terminal, each is a line. */
const TELL_EVERY = 2000

type Suite = Partial<Record<Kind, Gate>>

/**
 * What an environment is checked by: everything on the preview; through users' URL what disturbs nobody; and
 * after going back, what says that the release from before works.
 */
export function gatesOf(environment: Environment, { only, skip = [], reason = '' }: Choice = {}): Gates {
  const { smoke: checks, witness, security, verification } = environment
  const probes = probesOf(environment)
  const wanted = ([kind]: [string, Gate]): boolean => !only || only.some((name) => name === kind)
  const declared: Suite = Object.fromEntries(Object.entries(declaredBy(environment, probes)).filter(wanted))
  const missing = only?.filter((kind) => !declared[kind]) ?? []
  if (missing.length > 0)
    throw new DeployError(`deploy.yaml declares no ${missing.join(', ')} for ${environment.name}`, Exit.usage)
  for (const kind of skip) if (declared[kind]) declared[kind] = skipped(kind, reason)
  const left = (kind: Kind): boolean => skip.includes(kind)
  const { smoke: alive } = declared
  const back: Suite = alive ? { smoke: left('smoke') ? alive : smoke(checks, witness, { moved: true }) } : {}
  const passive: Gate = async (...look) => await (await probes()).passive(...look)
  const live: Suite = {
    ...back,
    ...(declared.security && { security: left('security') ? declared.security : passive }),
  }
  const single: Partial<Record<Kind, readonly Skip[]>> = {
    smoke: checks.flatMap((check) => (check.skip ? [{ id: check.name, ...check.skip }] : [])),
    ...(security && { security: security.skip }),
  }
  const secrets = secretsOf(environment)
  const hide = (text: string): string => new Secrets(secrets).redact(text)
  return {
    names: kinds
      .filter((kind) => declared[kind])
      .map((kind) => (left(kind) ? `${kind} (skipped)` : without(kind, single[kind] ?? []))),
    preview: suite(declared, verification, secrets),
    live: suite(live, verification, secrets),
    ...(declared.security &&
      !left('security') && { note: async (...at) => await (await probes()).note(...at) }),
    kept:
      alive && !left('smoke')
        ? checks.filter((check) => !check.skip).map((check) => keptCheck(check, hide))
        : [],
    back: (went) => suite(smokeOf(environment, back, went, skip, hide), verification, secrets),
  }
}

/** What may stand in nothing that is kept: what deploy.yaml takes from secret variables, and the accounts' passwords. */
function secretsOf({ secrets = [], accounts }: Environment): string[] {
  const { user, other } = accounts ?? {}
  return [...secrets, ...[user, other].map((account) => process.env[account?.password ?? ''] ?? '')]
}

/** After going back: what the release went live with, as far as it can be asked again; else today's checks. */
function smokeOf(
  { smoke: today, witness }: Environment,
  back: Suite,
  went: readonly KeptCheck[] | undefined,
  skip: readonly Kind[],
  hide: (text: string) => string,
): Suite {
  if (!went || !back.smoke || skip.includes('smoke')) return back
  const checks = askedAgain(went, today, hide)
  if (checks.length > 0 || witness.color) return { smoke: smoke(checks, witness, { moved: true }) }
  return { smoke: skipped('smoke', 'it went live without a check that can be asked again') }
}

type Probes = () => Promise<ReturnType<typeof security>>

function declaredBy(environment: Environment, probes: Probes): Suite {
  const { accounts, ui, pageQuality, performance } = environment
  return {
    ...((environment.smoke.length > 0 || environment.witness.color) && {
      smoke: smoke(environment.smoke, environment.witness),
    }),
    ...(performance && {
      performance: async (...look) =>
        await (await import('./performance.ts')).performance(performance)(...look),
    }),
    ...(ui && {
      ui: async (...look) => await (await import('./ui.ts')).ui(ui, accounts, process.env)(...look),
    }),
    ...(environment.security && { security: async (...look) => await (await probes()).whole(...look) }),
    ...(pageQuality && {
      'page-quality': async (...look) =>
        await (await import('./page-quality.ts')).pageQuality(pageQuality)(...look),
    }),
  }
}

/** The two parts of one gate: the second knows what the first has seen at users' address. */
function probesOf({ security, accounts }: Environment): Probes {
  let parts: ReturnType<Probes> | undefined
  return () => {
    if (!security) throw new Error('deploy.yaml declares no security checks')
    parts ??= import('./security.ts').then((gate) => gate.security(security, accounts, process.env))
    return parts
  }
}

function skipped(kind: Kind, reason: string): Gate {
  const result = { gate: kind, name: 'all', verdict: 'skipped', ms: 0, expected: 'its checks' } as const
  return () => Promise.resolve([{ ...result, seen: `left out: ${reason}` }])
}

/**
 * Runs the kinds in order under one deadline, and keeps the results beside their evidence.
 * @param known secrets, which are taken out of both; so are those that the evidence tells of
 */
export function suite(gates: Suite, deadline: number, known: readonly string[] = []): Gate {
  return async (asked, signal, progress) => {
    const late = AbortSignal.timeout(deadline)
    const secrets = new Secrets(known)
    const target = { ...asked, secrets }
    const results: CheckResult[] = []
    const states = new Map<Kind, string>()
    try {
      for (const sideBySide of order) {
        const found = await Promise.all(
          sideBySide.map(async (kind) => {
            const gate = gates[kind]
            if (!gate) return []
            let last = -Infinity
            const told = (state: string): void => {
              states.set(kind, state.startsWith(kind) ? state : `${kind}: ${state}`)
              if (performance.now() - last < TELL_EVERY) return
              last = performance.now()
              progress?.([...states.values()].join(', '))
            }
            const judged = await judge(kind, gate, target, signal, late, deadline, told)
            states.delete(kind)
            return judged
          }),
        )
        results.push(...found.flat())
        if (results.length > 0 && sideBySide.includes('smoke') && objections(results).length > 0) break
      }
    } finally {
      // An interrupt, too, leaves evidence behind.
      await redactFolder(target.evidence, secrets)
    }
    const clean = results.map((result) => redactResult(result, secrets))
    await keepResults(target.evidence, clean)
    return clean
  }
}

/** One kind's results. A kind that breaks, is late or says nothing is inconclusive (S6). */
async function judge(
  kind: Kind,
  gate: Gate,
  target: Target,
  signal: AbortSignal,
  late: AbortSignal,
  deadline: number,
  progress: (state: string) => void,
): Promise<CheckResult[]> {
  const started = performance.now()
  const no = (seen: string): CheckResult[] => {
    const ms = performance.now() - started
    return [{ gate: kind, name: 'all', verdict: 'inconclusive', ms, expected: 'its verdict', seen }]
  }
  try {
    late.throwIfAborted()
    const results = await gate(target, AbortSignal.any([signal, late]), progress)
    if (results.length === 0) return no('no check ran')
    // What an application says is printed, and GitHub's runner obeys some of it.
    return results.map((result) => ({ ...result, name: harmless(result.name), seen: harmless(result.seen) }))
  } catch (error) {
    signal.throwIfAborted()
    return no(late.aborted ? `no verdict: all checks together have ${seconds(deadline)}` : sentence(error))
  }
}
