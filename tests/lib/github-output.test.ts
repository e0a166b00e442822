import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outputBlock, writeOutputs, writeSummary } from '../../lib/github-output.ts'
import { hostile } from './hostile.ts'

const folder = mkdtempSync(join(tmpdir(), 'output-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

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

  test('are added to what is there', () => {
    const file = join(folder, 'summary')
    writeSummary('one', { GITHUB_STEP_SUMMARY: file })
    writeSummary('two', { GITHUB_STEP_SUMMARY: file })
    expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n')
  })

  test('elsewhere nothing is written', () => {
    expect(() => (writeOutputs({ a: 'b' }, {}), writeSummary('a', {}))).not.toThrow()
  })
})
