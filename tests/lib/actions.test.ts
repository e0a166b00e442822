import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { output } from '../../examples/rehearsal/program.ts'

/** What a program that annotates so writes, on both streams. */
async function written(call: string, env: Record<string, string>): Promise<string> {
  const program = `import { annotate } from '${join(import.meta.dir, '../../lib/actions.ts')}'; ${call}`
  return await output(['sh', '-c', '"$0" -e "$1" 2>&1 >/dev/null', process.execPath, program], { env })
}

const actions = { GITHUB_ACTIONS: 'true' }

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
  expect(await written(call, actions)).toBe(line)
})

test('elsewhere nothing is written', async () => {
  expect(await written(`annotate('error', 'a', 'b')`, { GITHUB_ACTIONS: '' })).toBe('')
})
