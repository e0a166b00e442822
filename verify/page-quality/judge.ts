/** Scores and figures against their budgets. */
import type { CheckResult, Target, Verdict } from '../../lib/check.ts'
import type { PageQualitySettings } from '../../lib/settings/gates.ts'
import { plain } from '../../lib/text.ts'
import type { Run } from './runs.ts'

/** The least score of each category. */
type Scores = Readonly<Record<string, number | false>>
export type Judged = Omit<CheckResult, 'gate' | 'ms' | 'evidence'>

/** A result for each category and each audit; a single one when not every run was possible. Pure. */
export function judge(
  { scores, audits, runs: wanted }: Pick<PageQualitySettings, 'audits' | 'runs'> & { scores: Scores },
  runs: readonly Run[],
  { url, forwarded = false }: Pick<Target, 'url' | 'forwarded'>,
): Judged[] {
  if (asked(scores).length + Object.keys(audits).length === 0)
    return [unclear('no score and no figure is asked for')]
  const broken = runs.find(({ error }) => error !== undefined)
  if (broken) return [unclear(broken.error ?? '')]
  if (runs.length !== wanted) return [unclear(`${runs.length} of ${wanted} runs`)]
  const astray = runs.find(({ arrived }) => arrived === undefined || origin(arrived) !== origin(url))
  if (astray) return [unclear(`the page of ${url} led to ${astray.arrived ?? 'nowhere'}`)]
  const hindered = runs.find((run) => run.hindered !== undefined)?.hindered
  const excuse = forwarded ? 'through a port-forward' : hindered && `on a machine ${hindered}`
  return [
    ...asked(scores).map(([id, least]) => ofCategory(id, least, runs, excuse)),
    ...Object.entries(audits).map(([id, most]) => ofAudit(id, most, runs, excuse)),
  ]
}

/** The categories that count, with their least scores. */
export function asked(scores: Scores): [id: string, least: number][] {
  return Object.entries(scores).flatMap(([id, least]) => (least === false ? [] : [[id, least]]))
}

/** What is said of all together when there is nothing to judge. */
export function unclear(seen: string): Judged {
  const expected = 'a measurement by Lighthouse'
  return { name: 'page', verdict: 'inconclusive', expected, seen: plain(seen, 200) }
}

function ofCategory(id: string, least: number, runs: readonly Run[], excuse?: string): Judged {
  const each = runs.map(({ categories }) => categories[id]?.score ?? Number.NaN)
  const score = median(each)
  const lost = [...new Set(runs.flatMap(({ categories }) => categories[id]?.worst ?? []))]
  const why = score < 1 && lost.length > 0 ? `; it lost most by ${lost.slice(0, 3).join(', ')}` : ''
  return {
    name: id,
    expected: `a score of at least ${least}, ${of(runs)}`,
    ...verdict(
      score,
      score >= least,
      `${score}${spread(each)}${why}`,
      id === 'performance' ? excuse : undefined,
    ),
  }
}

function ofAudit(id: string, most: number, runs: readonly Run[], excuse?: string): Judged {
  const each = runs.map(({ audits }) => audits[id]?.value ?? Number.NaN)
  const unit = runs[0]?.audits[id]?.unit ?? ''
  const figure = median(each)
  const named = [Math.round(figure * 1000) / 1000, unit]
    .filter((part) => part !== '' && part !== 'unitless')
    .join(' ')
  return {
    name: id,
    expected: `at most ${most}, ${of(runs)}`,
    ...verdict(
      figure,
      figure <= most,
      `${named}${spread(each)}`,
      unit === 'millisecond' ? excuse : undefined,
    ),
  }
}

/**
 * Times through a port-forward are its own as well, and those of a busy machine the machine's: they may excuse the
 * application, and never accuse it.
 * @param excuse of a time
 */
function verdict(
  value: number,
  good: boolean,
  seen: string,
  excuse?: string,
): { verdict: Verdict; seen: string } {
  if (Number.isNaN(value)) return { verdict: 'inconclusive', seen: 'Lighthouse gave no figure for it' }
  if (good) return { verdict: 'passed', seen }
  if (excuse)
    return {
      verdict: 'inconclusive',
      seen: `${seen}; measured ${excuse}, so not the application's time alone`,
    }
  return { verdict: 'failed', seen }
}

/** NaN when there is none, or one of them is no number: a run that says nothing is no run. Pure. */
export function median(values: readonly number[]): number {
  if (values.length === 0 || values.some(Number.isNaN)) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const [low = Number.NaN, high = Number.NaN] = sorted.slice((sorted.length - 1) >> 1)
  return sorted.length % 2 === 1 ? low : (low + high) / 2
}

const of = (runs: readonly Run[]): string =>
  runs.length === 1 ? 'of one run' : `the median of ${runs.length} runs`
const spread = (each: readonly number[]): string =>
  each.length === 1 ? '' : ` (${each.map((value) => Math.round(value * 1000) / 1000).join(', ')})`
const origin = (url: string): string => new URL(url).origin
