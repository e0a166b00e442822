/** A Content-Security-Policy, judged by Google's CSP Evaluator and not by what words are in it. */
import { Version } from 'csp_evaluator/dist/csp.js'
import { CspEvaluator } from 'csp_evaluator/dist/evaluator.js'
import { Severity, type Finding } from 'csp_evaluator/dist/finding.js'
import { CspParser } from 'csp_evaluator/dist/parser.js'
import type { Fault } from './check.ts'

/** A comma separates policies that all hold, so that the strongest decides. */
const policies = (header: string | undefined): string[] =>
  (header ?? '')
    .split(',')
    .map((policy) => policy.trim())
    .filter((policy) => policy !== '')

const parsed = (policy: string) => new CspParser(policy).csp

/** What is certain and grave fails; what is merely unwise is told. "Maybe" findings are left out: they do not know. */
export function contentSecurityPolicy(header: string | undefined): Fault {
  const judged = policies(header).map((policy) =>
    new CspEvaluator(parsed(policy), Version.CSP3).evaluate().filter(({ severity }) => isCertain(severity)),
  )
  const [best] = judged.toSorted((a, b) => gravity(a) - gravity(b) || a.length - b.length)
  if (!best) return 'has no Content-Security-Policy'
  const problem = `has a policy with ${[...new Set(best.map(name))].slice(0, 4).join(', ')}`
  if (best.length === 0) return undefined
  return { problem, severity: gravity(best) > 0 ? 'high' : 'low' }
}

const isCertain = (severity: Severity): boolean =>
  [Severity.HIGH, Severity.SYNTAX, Severity.MEDIUM].includes(severity)

const gravity = (findings: readonly Finding[]): number =>
  findings.filter(({ severity }) => severity === Severity.HIGH).length

function name({ directive, value, description }: Finding): string {
  if (value) return `${directive} ${value}`
  return /missing/i.test(description) ? `no ${directive}` : `a fault in ${directive}`
}

/** frame-ancestors where there is one, as browsers do; else X-Frame-Options. */
export function framing(policy: string | undefined, frameOptions: string | undefined): Fault {
  const ancestors = policies(policy).flatMap((one) => [parsed(one).directives['frame-ancestors'] ?? []])
  const named = ancestors.filter((sources) => sources.length > 0)
  if (named.length > 0) {
    const open = named.every((sources) => sources.some((source) => /^(\*|https?:(\/\/\*)?)$/.test(source)))
    return open ? 'lets any site frame it (frame-ancestors)' : undefined
  }
  if (frameOptions === undefined) return 'has neither frame-ancestors nor X-Frame-Options'
  return /^\s*(deny|sameorigin)\s*$/i.test(frameOptions)
    ? undefined
    : `has X-Frame-Options: ${frameOptions.slice(0, 40)}, which browsers ignore`
}
