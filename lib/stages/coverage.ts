/** Which lines the tests ran, from lcov (geninfo(1)), and whether that is enough. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, extname, join, resolve } from 'node:path'
import type { CoverageSettings } from '../settings/stages.ts'

/** How often each line of each file ran. */
type Hits = Map<string, Map<number, number>>

export interface FileCoverage {
  file: string
  lines: number
  covered: number
}

export interface Coverage extends FileCoverage {
  /** Of lines, 0 to 100; NaN when there are none. */
  percent: number
  /** Least covered first. */
  files: FileCoverage[]
}

/** Undefined when it is not lcov, or not all of it. */
export function readLcov(text: string): Hits | undefined {
  const hits: Hits = new Map()
  let lines: Map<number, number> | undefined
  for (const row of text.split('\n')) {
    const [, kind = '', value = ''] = /^(SF|DA):(.+)$/.exec(row.trimEnd()) ?? []
    if (kind === 'SF') {
      if (lines) return undefined
      lines = hits.get(value) ?? new Map()
      hits.set(value, lines)
    }
    if (kind === 'DA') {
      const [line = Number.NaN, times = Number.NaN] = value.split(',').map(Number)
      if (!lines || !Number.isInteger(line) || !(times >= 0)) return undefined
      lines.set(line, (lines.get(line) ?? 0) + times)
    }
    if (row.trimEnd() === 'end_of_record') lines = undefined
  }
  return lines || hits.size === 0 ? undefined : hits
}

/**
 * Files of code under `of` that no run loaded, and that reports therefore leave out: nothing of them is covered.
 * @param folder in it, or in one above, files lie as the reports name them
 */
export function neverLoaded(runs: readonly Hits[], of: string, folder: string): FileCoverage[] {
  const loaded = new Set(runs.flatMap((run) => [...run.keys()]).filter((file) => file.startsWith(of)))
  const base = [...above(folder)].find((place) =>
    [...loaded].some((file) => existsSync(resolve(place, file))),
  )
  if (of === '' || base === undefined) return []
  const kinds = new Set([...loaded].map((file) => extname(file)))
  return globSync('**/*', { cwd: resolve(base, of), exclude: (name) => name === 'node_modules' })
    .map((name) => join(of, name))
    .filter((file) => kinds.has(extname(file)) && !loaded.has(file) && !/\.(test|spec|d)\.\w+$/.test(file))
    .map((file) => ({ file, lines: linesOfCode(resolve(base, file)), covered: 0 }))
    .filter(({ lines }) => lines > 0)
}

function* above(folder: string): Generator<string> {
  yield folder
  if (dirname(folder) !== folder) yield* above(dirname(folder))
}

/** What is left of it when it runs: a file of nothing but types has none. */
function linesOfCode(file: string): number {
  const text = readFileSync(file, 'utf8')
  const loader = (['ts', 'tsx', 'js', 'jsx'] as const).find((kind) => extname(file).endsWith(kind))
  const code = loader ? new Bun.Transpiler({ loader }).transformSync(text) : text
  return code.split('\n').filter((line) => /\w/.test(line)).length
}

/** Several runs as one: a line is covered when any of them ran it. */
export function summary(
  runs: readonly Hits[],
  of: string,
  notLoaded: readonly FileCoverage[] = [],
): Coverage {
  const all: Hits = new Map()
  for (const [file, lines] of runs.flatMap((run) => [...run])) {
    if (!file.startsWith(of)) continue
    const known = all.get(file) ?? new Map<number, number>()
    for (const [line, times] of lines) known.set(line, (known.get(line) ?? 0) + times)
    all.set(file, known)
  }
  const files = [...all]
    .map(([file, lines]) => ({
      file,
      lines: lines.size,
      covered: [...lines.values()].filter((times) => times > 0).length,
    }))
    .concat(notLoaded)
    .filter(({ lines }) => lines > 0)
    .toSorted((a, b) => a.covered / a.lines - b.covered / b.lines)
  const lines = files.reduce((sum, file) => sum + file.lines, 0)
  const covered = files.reduce((sum, file) => sum + file.covered, 0)
  return { file: of, lines, covered, percent: (100 * covered) / lines, files }
}

/** What is wrong with it, in a sentence; undefined when it reaches the floor. */
export function belowFloor(
  { percent, lines }: Coverage,
  { floor, of }: CoverageSettings,
): string | undefined {
  if (lines === 0) return `the coverage report knows no line of ${of || 'any file'}`
  return percent >= floor ? undefined : `${shown(percent)} of lines are covered, the floor is ${floor}%`
}

/** `86.4%`: cut, not rounded, so that 79.96 does not read as the 80 that it is not. */
export function shown(percent: number): string {
  return `${Math.floor(percent * 10) / 10}%`
}
