/** The gate against the example application: silent without faults, and each fault caught by what should. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { objections } from '../../lib/check.ts'
import { startApp } from '../examples/chatbot-platform/app-under-test.ts'
import { check, example, examplePasswords, named, type Ran } from './security/settings.ts'

// The machine may be busy with other things.
setDefaultTimeout(120_000)

const passwords = examplePasswords
const declared = { ...example, failOn: 'medium' } as const

async function against(
  faults: Record<string, string>,
  times = 1,
  part: 'whole' | 'passive' = 'whole',
): Promise<Ran[]> {
  const folder = await mkdtemp(join(tmpdir(), 'security-example-'))
  const app = await startApp({ DATABASE_URL: `sqlite:${folder}/chat.db`, LOG_LEVEL: 'error', ...faults })
  try {
    const runs: Ran[] = []
    for (let run = 0; run < times; run++)
      runs.push(await check(app.url, declared, { part, variables: passwords }))
    return runs
  } finally {
    await app.stop()
    await rm(folder, { recursive: true })
  }
}

test('without faults nothing at all is found, twenty times in a row', async () => {
  const runs = await against({}, 20)
  expect(runs.flatMap(({ results }) => objections(results))).toEqual([])
  expect(runs.flatMap(({ findings }) => findings)).toEqual([])
  for (const { results, requests, words } of runs) {
    expect(named(results, 'passed').length).toBeGreaterThan(25)
    expect(requests.length).toBeLessThanOrEqual(90)
    expect(Object.values(passwords).filter((password) => words.includes(password))).toEqual([])
  }
})

describe('each fault is caught by the checks that were written down', () => {
  test.each<[string, 'whole' | 'passive', string[]]>([
    [
      'FAULT_NO_SECURITY_HEADERS',
      'whole',
      ['cache-control', 'content-security-policy', 'content-type-options', 'framing'],
    ],
    ['FAULT_NO_SECURITY_HEADERS', 'passive', ['content-security-policy', 'content-type-options', 'framing']],
    ['FAULT_OPEN_ADMIN', 'whole', ['protected-without-session', 'role-refused']],
    ['FAULT_OPEN_ADMIN', 'passive', ['protected-without-session']],
    // Not the gate's to catch: what is broken there is no weakness.
    ['FAULT_BROKEN_LOGIN', 'whole', []],
  ])('%s, %s part', async (fault, part, caught) => {
    const [run] = await against({ [fault]: '1' }, 1, part)
    const failed = objections(run!.results)
    expect(failed.map(({ name }) => name).toSorted()).toEqual(caught)
    expect(failed.every(({ verdict }) => verdict === 'failed')).toBe(true)
  })

  test('FAULT_ERROR_RATE: an error is no proof of anything, and never the refusal that was expected', async () => {
    const [run] = await against({ FAULT_ERROR_RATE: '1' })
    const verdicts = new Map(run!.results.map(({ name, verdict, seen }) => [name, `${verdict}: ${seen}`]))
    expect(verdicts.get('protected-without-session')).toStartWith(
      'failed: high: GET /api/conversations answered 500 instead of 401 or 403',
    )
    expect(verdicts.get('malformed-input')).toStartWith('failed: medium: ')
    expect(verdicts.get('content-security-policy')).toStartWith('inconclusive: GET / answered 500')
    expect(verdicts.get('role-refused')).toBe(
      'inconclusive: signing in as alice answered 500 and gave no session',
    )
    expect(named(run!.results, 'passed')).toEqual([])
    const [some] = await against({ FAULT_ERROR_RATE: '0.1' })
    expect(objections(some!.results).length).toBeGreaterThan(0)
  })
})
