/** A box of the checklist: what stands in it, why, and what to do where it is not ticked. */
import { sentence } from '../errors.ts'
import type { BoxId } from '../settings/preflight.ts'
import { plain } from '../text.ts'

/** What a machine can say. `unknown` is never a pass: a person says so, by name and with a reason. */
export interface Finding {
  verdict: 'passed' | 'failed' | 'unknown'
  why: string
  /** What to do, where it is not passed. */
  next?: string
}

export interface Box {
  id: BoxId
  title: string
  verdict: Finding['verdict'] | 'acknowledged'
  why: string
  next: string
}

export const passed = (why: string): Finding => ({ verdict: 'passed', why })
export const failed = (why: string, next: string): Finding => ({ verdict: 'failed', why, next })
export const unknown = (why: string, next: string): Finding => ({ verdict: 'unknown', why, next })

const WORST = ['failed', 'unknown', 'passed'] as const

/** Of several the worst counts, and only what is as bad is told. Nothing at all is unknown. */
export function worst(findings: readonly Finding[], nothing: Finding): Finding {
  const verdict = WORST.find((one) => findings.some((finding) => finding.verdict === one))
  const told = findings.filter((finding) => finding.verdict === verdict)
  const [first] = told
  if (!first) return nothing
  return { ...first, why: listed(told.map(({ why }) => why)) }
}

/** How many are told; the rest is counted. */
const MOST = 5

export function listed(all: readonly string[], between = '; '): string {
  const some = [...new Set(all)]
  const more = some.length > MOST ? `${between}and ${some.length - MOST} more` : ''
  return `${some.slice(0, MOST).join(between)}${more}`
}

/** What cannot be asked is not known. @throws what the signal was aborted with */
export async function asked(
  ask: () => Finding | Promise<Finding>,
  next: string,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    return await ask()
  } catch (error) {
    signal.throwIfAborted()
    return unknown(plain(sentence(error), 300), next)
  }
}
