/** How the stages of this folder went and what each took, by the results that they left. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { seconds } from '../clock.ts'
import { parseJson } from '../json.ts'
import { code, plain } from '../text.ts'

const result = z.object({
  stage: z.string(),
  passed: z.boolean(),
  startedAt: z.iso.datetime(),
  ms: z.number().nonnegative(),
  problems: z.array(z.string()),
})

export interface Times {
  /** In the order in which they began. */
  stages: z.infer<typeof result>[]
  /** Folders whose result cannot be read: no pass (S6). */
  unreadable: string[]
}

export function readTimes(reports: string): Times {
  const files = globSync('*/result.json', { cwd: reports }).toSorted()
  const read = files.map((file) => result.safeParse(parseJson(readFileSync(join(reports, file), 'utf8'))))
  return {
    stages: read
      .flatMap(({ data }) => data ?? [])
      .toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt)),
    unreadable: files.filter((_, i) => !read[i]?.success).map(dirname),
  }
}

/** A line for each stage, and the time since the first one began. */
export function timeLines({ stages, unreadable }: Times, now: number): string[] {
  const names = stages.map(({ stage }) => plain(stage, 40))
  const width = Math.max(...names.map((name) => name.length)) + 2
  return [
    ...stages.map(({ passed, ms, problems }, i) => {
      const why = passed ? '' : `  ${plain(problems.join('; ') || 'did not pass', 120)}`
      return `${passed ? '✓' : '✗'} ${(names[i] ?? '').padEnd(width)}${seconds(ms)}${why}`
    }),
    ...unreadable.map((stage) => `✗ ${plain(stage, 40)}  its result cannot be read`),
    since(stages, now),
  ]
}

/** The same as a table. */
export function timeTable({ stages, unreadable }: Times, now: number): string {
  const rows = stages.map(({ stage, passed, ms, problems }) => {
    const why = passed ? '' : code(problems.join('; ') || 'did not pass')
    return `| ${passed ? '✅' : '❌'} | ${code(stage)} | ${seconds(ms)} | ${why} |`
  })
  const unread = unreadable.map((stage) => `| ❌ | ${code(stage)} | | its result cannot be read |`)
  const head = ['### Stages', '', '| | stage | took | |', '|---|---|--:|---|']
  return [...head, ...rows, ...unread, '', since(stages, now), ''].join('\n')
}

function since([first]: Times['stages'], now: number): string {
  return first ? `${seconds(now - Date.parse(first.startedAt))} since the first stage began` : 'No stage ran'
}
