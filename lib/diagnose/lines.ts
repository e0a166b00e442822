/** A diagnosis as people read it. Pure. */
import type { Cause } from './cause.ts'
import type { Diagnosis } from './diagnose.ts'

/** How many causes are told as a whole: who has mended three asks again. */
const TOLD = 3

export function diagnosisLines({ healthy, first, colors, causes, unread }: Diagnosis): string[] {
  return [
    ...(healthy ? ['healthy: nothing was found that is wrong'] : []),
    ...folded(`do both colors fail? ${first}`, 'first'),
    ...Object.entries(colors).flatMap(([color, reasons]) =>
      reasons.length > 0 ? folded(`${color}: ${reasons.join('; ')}`) : [],
    ),
    ...(healthy || causes.length > 0 ? [] : ['nothing of what is known explains it']),
    ...causes.slice(0, TOLD).flatMap((cause, i) => causeLines(cause, i + 1)),
    ...rest(causes.slice(TOLD)),
    ...unread.flatMap((what) => folded(what, 'unread')),
  ]
}

const causeLines = ({ what, certainty, trouble, evidence, next }: Cause, rank: number): string[] => [
  ...folded(`${what} (${certainty}; ${trouble})`, `${rank}.`),
  ...evidence.flatMap((line) => folded(`- ${line}`)),
  `        ${next}`,
]

const rest = (causes: readonly Cause[]): string[] =>
  causes.length === 0 ? [] : folded(causes.map(({ what }) => what).join('; '), 'also')

/** Columns of a terminal, and where text begins; what is printed is indented by two. */
const [WIDTH, INDENT] = [78, 8]

/** In lines that fit; a command is never folded, since it is pasted. */
function folded(text: string, name = ''): string[] {
  const lines = Bun.wrapAnsi(text, WIDTH - INDENT, { hard: false, trim: true }).split('\n')
  return lines.map((line, i) => (i === 0 ? name : '').padEnd(INDENT) + line)
}

/** What a failed deployment ends with; nothing where nothing was found that is sure enough. */
export function firstLine({ causes }: Diagnosis): string | undefined {
  const [first] = causes
  if (!first || first.certainty === 'possible') return undefined
  return `First look: ${first.what}\n  ${first.next}`
}
