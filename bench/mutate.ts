#!/usr/bin/env bun
/**
 * `bun bench/mutate.ts [FILE…]`: breaks the code in one place at a time, and says which breaks no test notices. Each
 * file is tried with the tests that reach it by imports, in a copy of this repository, so that nothing here changes.
 *
 *   --out FILE       writes the score and the survivors there, as Markdown, anew after each file
 *   --sample N       at most N mutants a file, always the same ones of the same code
 *   --quick SECONDS  only tests that take no longer than this when nothing is broken
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import { parseArgs } from 'node:util'
import { parseSync, Visitor } from 'oxc-parser'
import { filesOf, ROOT } from '../tests/tree.ts'

interface Mutant {
  start: number
  end: number
  text: string
}

const OPERATORS: Record<string, string[]> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '&&': ['||'],
  '||': ['&&'],
}

/** What stands for a call of a method; nothing: what it is called on. */
const METHODS: Record<string, string> = {
  some: 'every',
  every: 'some',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  max: 'min',
  min: 'max',
  filter: '',
  toSorted: '',
  trim: '',
  slice: '',
}

/** One change each: of an operator, a condition, a constant, or a call that is left out. */
function mutantsOf(file: string, code: string): Mutant[] {
  const found: Mutant[] = []
  const add = ({ start, end }: { start: number; end: number }, text: string): void => {
    found.push({ start, end, text })
  }
  const source = ({ start, end }: { start: number; end: number }): string => code.slice(start, end)
  const operation = (node: {
    left: Span
    right: Span
    operator: string
    start: number
    end: number
  }): void => {
    for (const other of OPERATORS[node.operator] ?? [])
      add(node, `${source(node.left)} ${other} ${source(node.right)}`)
    if (node.operator === '??') add(node, source(node.left))
  }
  new Visitor({
    BinaryExpression: operation,
    LogicalExpression: operation,
    UnaryExpression: (node) => {
      if (node.operator === '!') add(node, source(node.argument))
    },
    IfStatement: ({ test }) => add(test, `!(${source(test)})`),
    ConditionalExpression: (node) => {
      add(node, source(node.consequent))
      add(node, source(node.alternate))
    },
    Literal: (node) => {
      if (typeof node.value === 'boolean') add(node, String(!node.value))
      if (typeof node.value === 'number') add(node, String(node.value + 1))
    },
    CallExpression: (node) => {
      const { callee } = node
      if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return
      const other = METHODS[callee.property.name]
      if (other === '') add(node, source(callee.object))
      else if (other !== undefined) add(callee.property, other)
    },
    ExpressionStatement: (node) => add(node, ';'),
    ThrowStatement: (node) => add(node, ';'),
  }).visit(parseSync(file, code).program)
  return found.filter((mutant) => isProgram(code, mutant))
}

interface Span {
  start: number
  end: number
}

const transpiler = new Bun.Transpiler({ loader: 'ts' })

const applied = (code: string, { start, end, text }: Mutant): string =>
  code.slice(0, start) + text + code.slice(end)

/** A constant in a type changes nothing that runs; and not every change is a program. */
function isProgram(code: string, mutant: Mutant): boolean {
  try {
    return transpiler.transformSync(applied(code, mutant)) !== transpiler.transformSync(code)
  } catch {
    return false
  }
}

/** Which tests reach a file. Tests of scripts start them as programs. */
function testsOf(file: string): string[] {
  const [room = '', noun = ''] = file.split('/')
  const near = room === 'lib' ? `tests/lib/${noun}/` : 'tests/verify/'
  const own = filesOf(ROOT).filter((name) => name.startsWith(near) && name.endsWith('.test.ts'))
  const named = `tests/verify/${noun.replace(/\.ts$/, '')}.test.ts`
  const reaching = own.filter((test) => test === named || (reaches(test, file) && !SLOW.test(test)))
  return [...reaching, ...(STARTED[file] ?? [])]
}

/** With a browser, or measuring: asked only of what they are named after. */
const SLOW = /verify\/(browser|faults|page-quality|ui|performance)\.test\.ts$/

const STARTED: Record<string, string[]> = {
  'lib/scan/scan.ts': ['tests/scripts/security-scan.test.ts'],
  'lib/scan/write.ts': ['tests/scripts/security-scan.test.ts'],
}

const imported = new Map<string, string[]>()

function importsOf(file: string): string[] {
  const known = imported.get(file)
  if (known) return known
  const text = readFileSync(join(ROOT, file), 'utf8').replace(/^#!.*/, '')
  const paths = transpiler.scanImports(text).flatMap(({ path }) => (path.startsWith('.') ? [path] : []))
  const all = paths.map((path) => normalize(join(dirname(file), path)))
  imported.set(file, all)
  return all
}

function reaches(from: string, to: string): boolean {
  let edge = [from]
  for (const seen = new Set(edge); edge.length > 0;) {
    if (edge.includes(to)) return true
    edge = edge.flatMap(importsOf).filter((file) => file.endsWith('.ts') && !seen.has(file) && seen.add(file))
  }
  return false
}

/** What git would track of this repository; what is installed is not copied. */
function copyOfThis(): string {
  const copy = mkdtempSync(join(tmpdir(), 'mutants-'))
  for (const file of filesOf(ROOT)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(ROOT, file), join(copy, file))
  }
  for (const name of ['.tools', 'node_modules', 'examples/chatbot-platform/node_modules'])
    symlinkSync(join(ROOT, name), join(copy, name))
  return copy
}

/** Which ones is a matter of chance, but of the same chance each time. */
function sampled(file: string, mutants: readonly Mutant[], most: number): Mutant[] {
  const lot = ({ start, text }: Mutant): bigint => Bun.hash.wyhash(`${file} ${start} ${text}`)
  const drawn = mutants.toSorted((a, b) => (lot(a) < lot(b) ? -1 : 1)).slice(0, most)
  return drawn.toSorted((a, b) => a.start - b.start)
}

type Fate = 'killed' | 'timed out' | 'survived'

async function fateOf(copy: string, tests: readonly string[], within: number): Promise<Fate> {
  for (const test of tests) {
    const child = Bun.spawn([process.execPath, 'test', '--bail', '--timeout', String(within), test], {
      cwd: copy,
      stdio: ['ignore', 'ignore', 'ignore'],
      timeout: within,
      killSignal: 'SIGKILL',
    })
    const code = await child.exited
    if (child.signalCode === 'SIGKILL') return 'timed out'
    if (code !== 0) return 'killed'
  }
  return 'survived'
}

const DEFAULT = /^(verify\/(?!ui\/).*|lib\/scan\/.*|lib\/release\/promotion)\.ts$/

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string' },
    sample: { type: 'string', default: 'Infinity' },
    quick: { type: 'string', default: 'Infinity' },
  },
})
const copy = copyOfThis()
const took = new Map<string, number>()

/** How long a test takes while nothing is broken, in ms. */
async function timeOf(test: string): Promise<number> {
  const started = performance.now()
  if (!took.has(test)) {
    if ((await fateOf(copy, [test], 600_000)) !== 'survived') throw new Error(`${test} fails as it is`)
    took.set(test, performance.now() - started)
  }
  return took.get(test) ?? 0
}

process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
process.on('SIGINT', () => process.exit(130))
const rows: string[] = []
const survivors: string[] = []
const all: Record<Fate, number> = { killed: 0, 'timed out': 0, survived: 0 }

const line = (part: string): string => part.replace(/\s+/g, ' ').slice(0, 70)

const share = (fates: Record<Fate, number>): string => {
  const caught = fates.killed + fates['timed out']
  return `${caught} of ${caught + fates.survived} (${Math.floor((100 * caught) / (caught + fates.survived || 1))} %)`
}

const report = (): string =>
  [
    `# Mutants: ${share(all)} noticed`,
    '',
    '| file | noticed | |',
    '|---|---|---|',
    ...rows,
    '',
    '## Not noticed',
    '',
    ...survivors.map((line) => `- ${line}`),
    '',
  ].join('\n')

function keep(row: string): void {
  rows.push(row)
  console.error(row)
  if (values.out) writeFileSync(values.out, report())
}

for (const file of positionals.length > 0
  ? positionals
  : filesOf(ROOT).filter((name) => DEFAULT.test(name))) {
  const code = readFileSync(join(ROOT, file), 'utf8')
  const mutants = sampled(file, mutantsOf(file, code), Number(values.sample))
  if (mutants.length === 0) continue
  const timed: { test: string; time: number }[] = []
  for (const test of testsOf(file)) timed.push({ test, time: await timeOf(test) })
  const tried = timed.filter(({ time }) => time <= 1000 * Number(values.quick))
  // What takes long is asked only of mutants that the rest did not notice.
  const tests = tried.toSorted((a, b) => a.time - b.time).map(({ test }) => test)
  if (tests.length === 0) {
    keep(`| ${file} | not tried: no test that is quick enough reaches it by imports | |`)
    continue
  }
  const within = 10_000 + 5 * Math.ceil(Math.max(...tried.map(({ time }) => time)))
  const fates: Record<Fate, number> = { killed: 0, 'timed out': 0, survived: 0 }
  for (const mutant of mutants) {
    const { start, end, text } = mutant
    writeFileSync(join(copy, file), applied(code, mutant))
    const fate = await fateOf(copy, tests, within)
    fates[fate]++
    all[fate]++
    if (fate !== 'survived') continue
    const place = `${file}:${code.slice(0, start).split('\n').length}`
    survivors.push(`${place}: \`${line(code.slice(start, end))}\` → \`${line(text)}\``)
    console.error(survivors.at(-1))
  }
  writeFileSync(join(copy, file), code)
  keep(`| ${file} | ${share(fates)} | ${fates['timed out']} timed out |`)
}
if (!values.out) console.log(report())
