/** How the tests set the gate up, and what they ask of its answer. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CheckResult, Target } from '../../../lib/check.ts'
import { security as schema, type SecuritySettings } from '../../../lib/settings/gates.ts'
import { security } from '../../../verify/security.ts'
import type { Finding } from '../../../verify/security/findings.ts'
import type { SecurityWorld } from '../../../verify/security/site.ts'
import { passwords } from './application.ts'

export const accounts = {
  user: { name: 'alice', password: 'ALICE_PASSWORD' },
  other: { name: 'bob', password: 'BOB_PASSWORD' },
}
export const variables = { ALICE_PASSWORD: passwords['alice'], BOB_PASSWORD: passwords['bob'] }

/** For the application of application.ts; every severity fails, and nothing waits. */
export function settings(more: Partial<SecuritySettings> = {}): SecuritySettings {
  const declared = schema.parse({
    failOn: 'low',
    signIn: { path: '/login', signOut: { path: '/login' } },
    protected: [{ path: '/api/me' }, { path: '/api/admin', user: 'refused' }],
    owned: { path: '/api/notes', headers: { 'content-type': 'application/json' }, body: '{}' },
    redirects: [{ path: '/go', parameter: 'next' }],
    signInAttempts: 5,
  })
  return { ...declared, rate: 5000, ...more }
}

/** For a site that nobody signs in to. */
export const bare = settings({
  signIn: undefined,
  protected: [],
  owned: undefined,
  redirects: [],
  signInAttempts: undefined,
})

/** For the example application, with its accounts of app-under-test.ts. */
export const example = settings({
  signIn: {
    ...settings().signIn!,
    path: '/api/session',
    signOut: { method: 'DELETE', path: '/api/session' },
  },
  protected: ['/api/conversations', '/api/me', '/api/admin/users'].map((path) => ({
    method: 'GET',
    path,
    headers: {},
    user: path.includes('admin') ? 'refused' : 'allowed',
  })),
  owned: { ...settings().owned!, path: '/api/conversations' },
  redirects: [],
  signInAttempts: undefined,
})
export const examplePasswords = { ALICE_PASSWORD: 'alice-password', BOB_PASSWORD: 'bob-password' }

export interface Ran {
  results: CheckResult[]
  findings: Finding[]
  requests: { method: string; path: string; note: string; answer: number | string }[]
  /** Everything that was written or said. */
  words: string
}

export interface Options {
  part?: 'whole' | 'passive'
  world?: SecurityWorld
  signal?: AbortSignal
  accounts?: typeof accounts | undefined
  variables?: Record<string, string | undefined>
  /** Users' address, and whether somebody is served there. */
  where?: Pick<Target, 'address' | 'live'>
  /** One that was used before. */
  gate?: ReturnType<typeof security>
}

/** Both parts of one gate, of which the second knows what the first saw. Nothing waits before a second look. */
export function gateOf(given: SecuritySettings, options: Options = {}): ReturnType<typeof security> {
  const who = 'accounts' in options ? options.accounts : accounts
  return security(given, who, options.variables ?? variables, { pause: 0, ...options.world })
}

export async function check(url: string, given: SecuritySettings, options: Options = {}): Promise<Ran> {
  const { part = 'whole', signal = new AbortController().signal, where = {} } = options
  const evidence = await mkdtemp(join(tmpdir(), 'security-evidence-'))
  const gate = (options.gate ?? gateOf(given, options))[part]
  try {
    const results = await gate({ url, verification: 'v-1', evidence, ...where }, signal)
    const name = part === 'whole' ? 'security' : 'security-live'
    const [json, markdown] = await Promise.all(
      ['json', 'md'].map((kind) => readFile(join(evidence, `${name}.${kind}`), 'utf8')),
    )
    const { findings, requests } = JSON.parse(json ?? '') as Ran
    return { results, findings, requests, words: `${JSON.stringify(results)}${json}${markdown}` }
  } finally {
    await rm(evidence, { recursive: true })
  }
}

export function named(results: readonly CheckResult[], verdict: CheckResult['verdict']): string[] {
  return results.filter((result) => result.verdict === verdict).map(({ name }) => name)
}
