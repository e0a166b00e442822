/** The scripts as they are run, against a cluster that records: what only looks must change nothing. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { recordForm } from '../../lib/history/record.ts'
import { temporaryFolder } from '../../lib/temporary.ts'
import { statusOf } from '../../lib/release/status.ts'
import { digest, image, made } from '../lib/objects.ts'
import { lastSwitch, running } from '../lib/world.ts'
import { rehearseScripts, type Rehearsed } from './kubectl.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const looks: {
  name: string
  args: (rehearsed: Rehearsed) => [script: string, ...args: string[]]
  code: number
  err: RegExp
}[] = [
  {
    name: 'deploy --dry-run shows the plan',
    args: ({ registry }) => ['deploy.ts', '--image', `${registry}/chat:1.2.0`, '--dry-run'],
    code: 0,
    err: /live {5}blue {2}1\.0\.0 {2}2 of 2 pods ready.*\n.*deploy {3}green {2}1\.2\.0 {2}chat@sha256:c{12}\n[^]*Nothing was changed\.\n$/,
  },
  {
    name: "deploy through another context than the environment's",
    args: ({ registry }) => [
      'deploy.ts',
      '--image',
      `${registry}/chat:1.2.0`,
      '--yes',
      '--context',
      'production',
    ],
    code: 2,
    err: /test is deployed through the context "test", but the context is "production"/,
  },
  ...['deployment-status.ts', 'verify-deployment.ts'].map((script) => ({
    name: `${script} through another context`,
    args: (): [string, ...string[]] => [script, '--context', 'production'],
    code: 2,
    err: /test is deployed through the context "test", but the context is "production"/,
  })),
  {
    name: 'rollback --dry-run says where it leads',
    args: ({ cluster }) => {
      lastSwitch(cluster, {
        from: { color: 'green', ...made('1.1.0') },
        to: { color: 'blue', ...made('1.0.0') },
      })
      return ['rollback-deployment.ts', '--dry-run']
    },
    code: 0,
    err: /back to {2}green {2}1\.1\.0 {2}2 of 2 pods ready.*\nNothing was changed\.\n$/,
  },
  {
    name: 'switch without --yes',
    args: () => ['switch-traffic.ts', '--to', 'green'],
    code: 2,
    err: /pass --yes\n$/,
  },
]

test.each(looks)('$name', async ({ args, code, err }) => {
  await using rehearsed = rehearseScripts(digest('c'))
  running(rehearsed.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  const ended = await rehearsed.run(...args(rehearsed))
  expect(ended.err).toMatch(err)
  expect([ended.out, ended.code]).toEqual(['', code])
  expect(rehearsed.cluster.writes).toEqual([])
})

test("status --json: data on standard output, people's lines on the other", async () => {
  await using rehearsed = rehearseScripts(digest('c'))
  running(rehearsed.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  const { out, err, code } = await rehearsed.run('deployment-status.ts', '--json')
  const status: ReturnType<typeof statusOf> = JSON.parse(out)
  expect(status).toMatchObject({ app: 'chat', environment: 'test', live: 'blue', unfinished: [] })
  expect(status.workloads).toMatchObject([
    { color: 'blue', ready: 2 },
    { color: 'green', ready: 2 },
  ])
  expect(err).toContain('live      blue  1.0.0  2 of 2 pods ready')
  expect(code).toBe(0)
})

test('a switch from start to end: its writes are printed, its record is in the history', async () => {
  await using rehearsed = rehearseScripts(digest('c'))
  const { cluster } = rehearsed
  running(cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  // Users have been on green before.
  lastSwitch(cluster, {
    from: { color: 'green', ...made('1.1.0') },
    to: { color: 'blue', ...made('1.0.0') },
  })
  const app = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => Response.json({ color: Reflect.get(Object(cluster.selector()), 'color') }),
  })
  const quick = ['--config', `${import.meta.dir}/quick.yaml`]
  using folder = temporaryFolder()
  const env = `http://127.0.0.1:${app.port}`
  const { out, err, code } = await rehearsed.with(
    { CHAT_URL: env, GITHUB_STEP_SUMMARY: join(folder.path, 'summary.md') },
    'switch-traffic.ts',
    '--to',
    'green',
    '--yes',
    '--json',
    '--reason',
    'a test',
    '--override',
    'no deployment has put it there',
    '--out',
    folder.path,
    ...quick,
  )
  await app.stop(true)
  expect(err).toMatch(
    / {2}\$ kubectl --context=test --namespace=chat-test .* patch service chat --type=json -p '\[/,
  )
  expect(err).toMatch(/Users of test are on green\. Record \w{26}\n {2}report: \S+\/report\.html\n$/)
  expect(code).toBe(0)
  const record = recordForm.parse(JSON.parse(out))
  expect(record).toMatchObject({
    kind: 'switch',
    outcome: 'succeeded',
    reason: 'a test',
    from: { image: image('a') },
  })
  expect(record.switches[0]?.requests).toBeGreaterThan(0)
  const history = await rehearsed.run('deployment-history.ts', '--json')
  expect(JSON.parse(history.out)).toEqual([record])
  expect(history.err).toMatch(/switch {4}1\.0\.0 → 1\.1\.0 \(green\) {2}succeeded {2}0 of \d+\n/)

  const page = readFileSync(join(folder.path, record.id, 'report.html'), 'utf8')
  expect(page).toContain('Users of test were moved to 1.1.0')
  expect(page).toContain('Requests a second, by the color that answered')
  expect(readFileSync(join(folder.path, 'summary.md'), 'utf8')).toContain('## ✅ Live: `1.1.0` in `test`')
  // On another machine there is the record alone.
  using elsewhere = temporaryFolder()
  const again = await rehearsed.run('deployment-report.ts', '--last', '--out', elsewhere.path, '--json')
  expect([again.code, JSON.parse(again.out)]).toEqual([0, record])
  expect(again.err).toContain('The evidence of its checks is not here')
  expect(readFileSync(join(elsewhere.path, record.id, 'report.html'), 'utf8')).toContain('What is not known')
  const unknown = await rehearsed.run('deployment-report.ts', '--id', '01none', '--out', elsewhere.path)
  expect([unknown.code, unknown.err]).toEqual([
    1,
    expect.stringContaining('There is no record 01none in test'),
  ])
  const trends = await rehearsed.run('deployment-trends.ts', '--out', elsewhere.path, '--json')
  expect([trends.code, JSON.parse(trends.out)]).toMatchObject([
    0,
    [{ environment: 'test', success: { of: 0 } }],
  ])
  expect(readFileSync(join(elsewhere.path, 'index.html'), 'utf8')).toContain(
    `href="./${record.id}/report.html"`,
  )
})
