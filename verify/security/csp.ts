/** A Content-Security-Policy, judged by Google's CSP Evaluator and not by what words are in it. */
import { Directive, Keyword, Version, type Csp } from 'csp_evaluator/dist/csp.js'
import { CspEvaluator } from 'csp_evaluator/dist/evaluator.js'
import { Severity, Type, type Finding } from 'csp_evaluator/dist/finding.js'
import { CspParser } from 'csp_evaluator/dist/parser.js'
import type { Fault } from './check.ts'

/** A comma separates policies that all hold, so that the strongest decides. */
const policies = (header: string | undefined): string[] =>
  (header ?? '')
    .split(',')
    .map((policy) => policy.trim())
    .filter((policy) => policy !== '')

const parsed = (policy: string) => new CspParser(policy).csp

/**
 * What is certain and grave fails. Text that becomes code ('unsafe-eval', and `blob:`, of which a page makes an address
 * for any text) is medium. What is merely unwise, or may be, is told.
 */
export function contentSecurityPolicy(header: string | undefined): Fault {
  const judged = policies(header).map((policy) => flaws(parsed(policy)))
  const [best] = judged.toSorted((a, b) => gravity(a) - gravity(b) || a.length - b.length)
  if (!best) return 'has no Content-Security-Policy'
  const [worst] = best
  if (!worst) return undefined
  const names = [...new Set(best.map((flaw) => flaw.name))].slice(0, 4)
  return { problem: `has a policy with ${names.join(', ')}`, severity: worst.severity }
}

interface Flaw {
  name: string
  severity: 'high' | 'medium' | 'low'
}

/** The worst first. */
function flaws(csp: Csp): Flaw[] {
  const found = new CspEvaluator(csp, Version.CSP3)
    .evaluate()
    .filter(
      ({ severity, value }) =>
        severity < Severity.INFO && severity !== Severity.STRICT_CSP && value !== Keyword.SELF,
    )
    .map((finding): Flaw => ({ name: name(finding), severity: severityOf(finding) }))
  const blobs = csp
    .getEffectiveDirectives([Directive.SCRIPT_SRC, Directive.SCRIPT_SRC_ELEM])
    .filter((directive) => csp.directives[directive]?.some((source) => source.toLowerCase() === 'blob:'))
    .map((directive): Flaw => ({ name: `${directive} blob:`, severity: 'medium' }))
  return [...found, ...blobs].toSorted((a, b) => rank(b) - rank(a))
}

function severityOf({ severity, type }: Finding): Flaw['severity'] {
  if (severity === Severity.HIGH) return 'high'
  return type === Type.SCRIPT_UNSAFE_EVAL ? 'medium' : 'low'
}

const rank = ({ severity }: Flaw): number => ['low', 'medium', 'high'].indexOf(severity)

/** Of two policies that both hold, the one whose flaws weigh less is what protects. */
const gravity = (found: readonly Flaw[]): number => found.reduce((sum, flaw) => sum + 1000 ** rank(flaw), 0)

function name({ directive, value, description }: Finding): string {
  if (value) return `${directive} ${value}`
  return /missing/i.test(description) ? `no ${directive}` : `a fault in ${directive}`
}

/** frame-ancestors where there is one, as browsers do; else X-Frame-Options. */
export function framing(policy: string | undefined, frameOptions: string | undefined): Fault {
  const ancestors = policies(policy).flatMap((one) => [parsed(one).directives['frame-ancestors'] ?? []])
  const named = ancestors.filter((sources) => sources.length > 0)
  if (named.length > 0) {
    const open = named.every((sources) => sources.some((source) => ANYBODY.test(source)))
    return open ? 'lets any site frame it (frame-ancestors)' : undefined
  }
  if (frameOptions === undefined) return 'has neither frame-ancestors nor X-Frame-Options'
  // Several that differ, or one that is repeated, are taken for a refusal (HTML, "check X-Frame-Options").
  const options = frameOptions.split(',').map((option) => option.trim().toLowerCase())
  return options.some((option) => option === 'deny' || option === 'sameorigin')
    ? undefined
    : `has X-Frame-Options: ${frameOptions}, which browsers ignore`
}

/** A source that names no host: `*`, `*:443`, `https:`, `https://*:*`, `data:`. */
const ANYBODY = /^(\*(:(\d+|\*))?|[a-z][a-z\d+.-]*:(\/\/\*(:(\d+|\*))?)?)\/?$/i
