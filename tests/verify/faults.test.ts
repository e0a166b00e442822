/**
 * Each fault of the example application, the whole gate run on it, and exactly the checks that must notice:
 * written down before. Needs a browser.
 */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { ALL_GATES } from '../../examples/rehearsal/workspace.ts'
import { objections } from '../../lib/check.ts'
import { loadEnvironment } from '../../lib/settings/load.ts'
import { gatesOf, type Kind } from '../../verify/gates.ts'
import { startPod } from '../examples/chatbot-platform/process.ts'

// The machine may be busy with other things, and Lighthouse waits for a slow application.
setDefaultTimeout(300_000)

const folder = mkdtempSync(join(tmpdir(), 'faults-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

const passwords = { VERIFIER_PASSWORD: 'for-tests-only-1', BYSTANDER_PASSWORD: 'for-tests-only-2' }
Object.assign(process.env, passwords) // as CI would, for the gates that ask for them
const accounts = `verifier:${passwords.VERIFIER_PASSWORD}:user,bystander:${passwords.BYSTANDER_PASSWORD}:user`

const file = join(folder, 'deploy.yaml')
await Bun.write(
  file,
  stringify({
    app: 'chat',
    image: 'example/chat',
    smoke: [{ name: 'the page is served', path: '/', expect: { text: '<title>' } }],
    ...ALL_GATES,
    performance: {
      rate: 50,
      duration: '4s',
      warmup: '1s',
      endpoints: [{ path: '/version' }, { path: '/api/session' }],
      // Wide enough for a busy machine: what is proven is that a fault of 800 ms is not in them.
      thresholds: { http_req_duration: ['p(50)<600'], http_req_failed: ['rate<0.01'] },
    },
    environments: {
      test: { context: 'test', namespace: 'chat', manifests: 'none', url: 'http://127.0.0.1:1' },
    },
  }),
)

/** `kind: check` of everything that kept traffic from moving. */
async function caughtBy(faults: Record<string, string>, only?: readonly Kind[]): Promise<string[]> {
  const name = Object.keys(faults).join() || 'none'
  const database = join(folder, `${name}.db`)
  const pod = await startPod({ DATABASE_URL: `sqlite:${database}`, TEST_ACCOUNTS: accounts, ...faults })
  try {
    const { preview } = gatesOf(loadEnvironment(file, 'test', {}), { only })
    const target = { url: pod.url, verification: 'faults', evidence: join(folder, name) }
    const results = await preview(target, new AbortController().signal)
    const caught = objections(results)
    for (const { gate, name, seen } of caught) console.log(`  ${gate}: ${name}: ${seen}`)
    return caught.map(({ gate, name }) => `${gate}: ${name}`)
  } finally {
    pod.child.kill('SIGKILL')
    await pod.ended
  }
}

test('no fault: nobody objects', async () => {
  expect(await caughtBy({})).toEqual([])
})

const withoutLogin = [
  'conversation › a new conversation is opened and listed',
  'conversation › the reply to a message streams in',
  'conversation › history survives a reload',
  'keyboard › the keyboard is enough',
  'page › on a phone › a message can be sent, and nothing is wider than the screen',
  'sign-in › the right password signs in',
  'sign-in › a wrong password › does not sign in, and says so',
  'sign-in › signing out ends the session',
]

test.each<[fault: Record<string, string>, caught: string[]]>([
  [{ FAULT_BROKEN_LOGIN: '1' }, withoutLogin.map((name) => `ui: ${name}`)],
  [{ FAULT_OPEN_ADMIN: '1' }, ['security: protected-without-session', 'security: role-refused']],
  [
    { FAULT_NO_SECURITY_HEADERS: '1' },
    ['content-security-policy', 'framing', 'content-type-options', 'cache-control'].map(
      (name) => `security: ${name}`,
    ),
  ],
  // What only users meet, and what takes time to show, no check before the switch can see: neither adds an objection.
  [{ FAULT_LIVE_ERROR_RATE: '0.5', FAULT_LEAK_MB_PER_REQUEST: '0.01' }, []],
])('%j is caught by exactly %j', async (faults, caught) => {
  const kinds = ['smoke', 'performance', 'ui', 'security'] as const // Lighthouse has a say above
  expect((await caughtBy(faults, kinds)).toSorted()).toEqual(caught.toSorted())
})

/** Where every request may fail or be late, the browser's and the probes' checks object as luck has it. */
test.each<[fault: Record<string, string>, only: Kind[], caught: string[]]>([
  [{ FAULT_SLOW_MS: '800' }, ['smoke', 'performance'], ['performance: http_req_duration p(50)<600']],
  [{ FAULT_ERROR_RATE: '0.1' }, ['smoke', 'performance'], ['performance: http_req_failed rate<0.01']],
  [{ FAULT_ERROR_RATE: '1' }, ['smoke', 'performance', 'ui'], ['smoke: the page is served']],
])('%j is caught, of %j, by exactly %j', async (faults, only, caught) => {
  expect(await caughtBy(faults, only)).toEqual(caught)
})
