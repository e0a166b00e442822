import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { output } from '../../../examples/rehearsal/program.ts'
import { cut, outputBlock, writeOutputs, writeSummary } from '../../../lib/cli/github.ts'
import { hostile } from '../hostile.ts'

const folder = mkdtempSync(join(tmpdir(), 'actions-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What a program that annotates so writes on standard error. */
async function written(call: string, env: Record<string, string>): Promise<string> {
  const program = `import { annotate } from '${join(import.meta.dir, '../../../lib/cli/github.ts')}'; ${call}`
  return await output(['sh', '-c', '"$0" -e "$1" 2>&1 >/dev/null', process.execPath, program], { env })
}

describe('annotations', () => {
  test.each([
    ['error', 'ui: sign in', 'expected a, saw b', '::error title=ui%3A sign in::expected a, saw b\n'],
    ['warning', '', 'plain', '::warning::plain\n'],
    [
      'error',
      'a,b\n::warning::c',
      '100%\r\n::error::no',
      '::error title=a%2Cb%0A%3A%3Awarning%3A%3Ac::100%25%0D%0A::error::no\n',
    ],
  ])('%s %j %j is one command on standard error', async (level, title, message, line) => {
    const call = `annotate(${[level, title, message].map((text) => JSON.stringify(text)).join(', ')})`
    expect(await written(call, { GITHUB_ACTIONS: 'true' })).toBe(line)
  })

  test('elsewhere nothing is written', async () => {
    expect(await written(`annotate('error', 'a', 'b')`, { GITHUB_ACTIONS: '' })).toBe('')
  })
})

/** As the runner reads it: `name<<delimiter`, the value's lines, the delimiter. */
function parse(text: string): Record<string, string> {
  const outputs: Record<string, string> = {}
  const lines = text.split('\n')
  for (let at = 0; at < lines.length - 1; at++) {
    const [name = '', delimiter = ''] = lines[at]?.split('<<') ?? []
    const end = lines.indexOf(delimiter, at + 1)
    if (end < 0) throw new Error(`no end of ${name}`)
    outputs[name] = lines.slice(at + 1, end).join('\n')
    at = end
  }
  return outputs
}

describe('outputs', () => {
  test.each(hostile)('%j ends no block but its own', (value) => {
    const file = join(folder, `output-${Math.random()}`)
    writeOutputs({ version: value, tags: `a\n${value}` }, { GITHUB_OUTPUT: file })
    expect(parse(readFileSync(file, 'utf8'))).toEqual({ version: value, tags: `a\n${value}` })
  })

  test('no two delimiters are alike', () => expect(outputBlock('a', 'b')).not.toBe(outputBlock('a', 'b')))

  test('elsewhere nothing is written', () => {
    expect(() => (writeOutputs({ a: 'b' }, {}), writeSummary('a', {}))).not.toThrow()
  })
})

describe('a summary', () => {
  test('is added to what is there', () => {
    const file = join(folder, 'summary')
    writeSummary('one', { GITHUB_STEP_SUMMARY: file })
    writeSummary('two', { GITHUB_STEP_SUMMARY: file })
    expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n')
  })

  test.each([0, 899_000, 900_000, 1_000_000])(
    'never grows beyond what is shown: %d bytes before',
    (before) => {
      const file = join(folder, `long-${before}`)
      writeFileSync(file, 'x'.repeat(before))
      writeSummary(`${'ü'.repeat(50)}\n`.repeat(20_000), { GITHUB_STEP_SUMMARY: file })
      const text = readFileSync(file, 'utf8')
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(Math.max(before, 900_000))
      expect(text.endsWith('_Cut here; the whole report is among the artifacts._\n')).toBe(before < 900_000)
    },
  )

  test('is cut between lines', () => {
    expect(cut('short', 200)).toBe('short')
    const long = cut(`${'ü'.repeat(30)}\n`.repeat(10), 200)
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(200)
    expect(long).toMatch(/^(ü{30}\n)+\n_Cut here; .*\n$/)
  })
})
