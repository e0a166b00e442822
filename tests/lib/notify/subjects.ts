/** A record in every state, and one that strangers wrote. */
import type { DeploymentRecord } from '../../../lib/history/record.ts'
import { exampleOf } from '../../../lib/notify/example.ts'
import type { Subject } from '../../../lib/notify/states.ts'
import type { State } from '../../../lib/settings/notify.ts'

const NOW = Date.parse('2026-11-23T08:05:00Z')

/** Rolled back by itself. */
export const rolledBack: DeploymentRecord = {
  ...exampleOf({ app: 'chat', name: 'production', image: 'ghcr.io/example/chat' }, NOW),
  id: 'r1',
  by: 'alice@laptop',
  reason: 'a feature',
}
const {
  finishedAt: _,
  message: __,
  ...open
} = { ...rolledBack, outcome: 'open' as const, checks: [], switches: [] }
const well: Subject = { ...rolledBack, message: undefined, checks: [], outcome: 'succeeded' }
const superseded = { by: 'bob@laptop', at: '2026-11-23T08:04:00Z', record: 'r2', reason: 'a hotfix' }

/** Each state's own record. Two of them a record alone does not tell: the run says so. */
export const subjects: Record<State, Subject> = {
  started: open,
  verified: { ...well, outcome: 'verified' },
  switched: open,
  baking: { ...open, bake: {} },
  succeeded: well,
  stopped: { ...rolledBack, outcome: 'failed', switches: [] },
  'rolled-back': rolledBack,
  'rolled-back-by-hand': { ...well, kind: 'rollback' },
  'rollback-failed': {
    ...rolledBack,
    outcome: 'needs-person',
    message: 'it broke; and the rollback failed: no pods',
  },
  'needs-person': { ...rolledBack, outcome: 'needs-person' },
  'lock-taken-over': open,
  superseded: { ...rolledBack, outcome: 'interrupted', superseded },
  environment: { ...open, bake: { verdict: 'environment' } },
}

/** What a stranger may put wherever he may write: what each medium takes for more than text. */
export const HOSTILE = [
  '<!channel> <!here> @here @channel @everyone <@U0123> <at>all</at>',
  '<b>bold</b><script>alert(1)</script><img src=x onerror=alert(1)>',
  '[click](https://evil.example) ![x](https://evil.example/x.png) <https://evil.example|here>',
  '*bold* _it_ ~no~ `code` :fire: {{DATE(2026-01-01T00:00:00Z)}}',
  '\u001B[31mred\u001B[0m \u202Eevil\r\nBcc: eve@evil.example\r\n\r\nbody',
].join(' ')

/** Everything that others may write, hostile and long. */
export function hostileSubject(words = HOSTILE + 'x'.repeat(10_000)): Subject {
  const side = {
    color: 'blue' as const,
    version: words,
    release: 'r0',
    image: `ghcr.io/example/chat@${words}`,
  }
  const check = { gate: words, name: words, verdict: 'failed' as const, ms: 1, expected: words, seen: words }
  return {
    ...rolledBack,
    by: words,
    reason: words,
    message: words,
    drift: words,
    from: side,
    to: { ...side, color: 'green' },
    override: { reason: words, missing: [words, words] },
    checks: Array.from({ length: 50 }, () => ({ ...check, evidence: [words, words] })),
  }
}
