/** Day one, and the day after: a channel is tried out, and what is due is sent, as it is done on a command line. */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configMapOf } from '../../lib/history/store.ts'
import { json, receiver } from '../lib/notify/receivers.ts'
import { rolledBack } from '../lib/notify/subjects.ts'
import { APP, digest } from '../lib/objects.ts'
import { certificate } from '../verify/security/certificates.ts'
import { rehearseScripts } from './kubectl.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), 'notify-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
/** A deploy.yaml with these channels; the last `--config` counts. */
function config(notify: object): string[] {
  const file = join(folder, `${++files}.yaml`)
  const place = { context: 'test', namespace: 'chat-test', manifests: 'm', url: 'http://127.0.0.1:1' }
  const witness = { color: 'color' }
  const content = { app: APP, image: 'ghcr.io/example/chat', witness, notify, environments: { test: place } }
  writeFileSync(file, JSON.stringify(content))
  return ['--config', file]
}

test('an example goes to each channel, is marked, and it is said what came back', async () => {
  const pair = await certificate(90, 'IP:127.0.0.1')
  writeFileSync(join(folder, 'ca.pem'), pair.cert)
  await using rehearsed = rehearseScripts(digest('c'))
  await using team = receiver(() => new Response('', { status: 202 }), pair)
  await using gone = receiver(() => new Response('no_service', { status: 404 }))
  const channels = config({
    team: { kind: 'teams', webhook: 'TEAMS_URL' },
    'on-call': { kind: 'slack', webhook: 'SLACK_URL' },
    forgotten: { kind: 'grafana', url: 'http://127.0.0.1:1', token: 'GRAFANA_TOKEN' },
    off: false,
  })
  const variables = {
    NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
    TEAMS_URL: `${team.url}/workflows?sig=a-secret-signature`,
    SLACK_URL: `${gone.url}/services/T/B/a-secret-address`,
  }
  const tried = await rehearsed.with(variables, 'notify.ts', '--test', '--json', ...channels)
  expect(tried.code).toBe(1)
  expect(tried.err).toMatch(/✓ team \(teams\): accepted \(202\), \d+ ms/)
  expect(tried.err).toContain('✗ on-call (slack): 404 no_service')
  expect(tried.err).toContain('✗ forgotten (grafana): the environment variable GRAFANA_TOKEN is not set')
  expect(tried.err + tried.out).not.toContain('secret')
  expect(JSON.stringify(json(team.got[0]))).toContain('[example] chat: 1.4.2 was rolled back in test')
  expect(JSON.parse(tried.out)).toMatchObject([
    { channel: 'team' },
    { channel: 'on-call' },
    { channel: 'forgotten' },
  ])
  expect(rehearsed.cluster.asked).toEqual([])

  const one = await rehearsed.with(variables, 'notify.ts', '--test', '--channel', 'team', ...channels)
  expect([one.code, gone.got.length]).toEqual([0, 1])
})

test('what is due is sent, once', async () => {
  await using rehearsed = rehearseScripts(digest('c'))
  await using server = receiver()
  const channels = config({ team: { kind: 'slack', webhook: 'SLACK_URL', on: ['outcome'] } })
  const variables = { SLACK_URL: `${server.url}/x` }
  const { metadata, ...body } = configMapOf({
    ...rolledBack,
    app: APP,
    environment: 'test',
    finishedAt: new Date(Date.now() - 60_000).toISOString(),
  })
  const labels = { ...metadata.labels, 'deploy-scripts/notify': 'due' }
  rehearsed.cluster.put({ ...body, metadata: { ...metadata, labels } })

  const sent = await rehearsed.with(variables, 'notify.ts', ...channels)
  expect(sent.err).toContain('✓ team: rolled-back of r1: 200 ok')
  expect(sent.code).toBe(0)
  const again = await rehearsed.with(variables, 'notify.ts', ...channels)
  expect([again.err, again.code]).toEqual(['Nothing is due.\n', 0])
  expect(server.got.length).toBe(1)
})

test.each<[string, object, string[], string]>([
  ['no channel', {}, [], '"notify" names no channel for test'],
  [
    'another channel',
    { a: { kind: 'teams', webhook: 'X' } },
    ['--channel', 'b'],
    'test has no channel "b": it has a',
  ],
  [
    'a secret in the file',
    { a: { kind: 'teams', webhook: 'https://x.example/y' } },
    [],
    'notify.a.webhook: expected the name of an environment variable, not its value',
  ],
  [
    'half a bot',
    { a: { kind: 'slack', token: 'X' } },
    [],
    'expected either "webhook", or "token" and "channel"',
  ],
  ['a state that there is not', { a: { kind: 'teams', webhook: 'X', on: ['done'] } }, [], 'notify.a.on.0: '],
])('%s: nothing is touched', async (_, notify, flags, message) => {
  await using rehearsed = rehearseScripts(digest('c'))
  const { err, code } = await rehearsed.run('notify.ts', '--test', ...flags, ...config(notify))
  expect([err, code]).toEqual([expect.stringContaining(message), 2])
  expect(rehearsed.cluster.asked).toEqual([])
})
