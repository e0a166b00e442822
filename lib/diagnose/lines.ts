/** A diagnosis as people read it. Pure. */
import type { Cause } from './cause.ts'
import type { Diagnosis } from './diagnose.ts'

/** How many causes are told as a whole: who has mended three asks again. */
const TOLD = 3

export function diagnosisLines({ healthy, first, colors, causes, unread }: Diagnosis): string[] {
  return [
    ...(healthy ? ['healthy: nothing was found that is wrong'] : []),
    `first   do both colors fail? ${first}`,
    ...Object.entries(colors).flatMap(([color, reasons]) =>
      reasons.length > 0 ? [`        ${color}: ${reasons.join('; ')}`] : [],
    ),
    ...(healthy || causes.length > 0 ? [] : ['nothing of what is known explains it']),
    ...causes.slice(0, TOLD).flatMap((cause, i) => causeLines(cause, i + 1)),
    ...rest(causes.slice(TOLD)),
    ...unread.map((what) => `unread  ${what}`),
  ]
}

const causeLines = ({ what, certainty, trouble, evidence, next }: Cause, rank: number): string[] => [
  `${`${rank}.`.padEnd(8)}${what} (${certainty}; ${trouble})`,
  ...evidence.map((line) => `        - ${line}`),
  `        ${next}`,
]

const rest = (causes: readonly Cause[]): string[] =>
  causes.length === 0 ? [] : [`also    ${causes.map(({ what }) => what).join('; ')}`]

/** What a failed deployment ends with; nothing where nothing was found that is sure enough. */
export function firstLine({ causes }: Diagnosis): string | undefined {
  const [first] = causes
  if (!first || first.certainty === 'possible') return undefined
  return `First look: ${first.what}\n  ${first.next}`
}
