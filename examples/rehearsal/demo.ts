#!/usr/bin/env bun
/**
 * `make demo`: a cluster, an application and its users, and everything that can become of a release: it goes live, it is
 * stopped before anybody sees it, it is undone by itself, it is undone by hand. All output is the scripts' own, but for
 * the headings and what the independent client counted. Exits with 1 if anything went otherwise than announced.
 */
import { join } from 'node:path'
import { parseRecord, type Record } from './answers.ts'
import { ROOT, start } from './program.ts'
import { startRehearsal, type Rehearsal } from './rehearsal.ts'
import { failures, type Sample, type Traffic } from './traffic.ts'
import { ALL_GATES, APP, WITNESS, type Script, type Workspace } from './workspace.ts'

const usage = `Usage: bun examples/rehearsal/demo.ts

Deploys the example application on a sandbox, under constant traffic, and breaks
it in four ways. Takes about two minutes; everything is stopped at the end.
With E2E_CLUSTER=real, KUBECONFIG and REGISTRY: on that cluster, in a namespace
of its own.
`

const WIDTH = 80
const color = process.stdout.isTTY && !process.env.NO_COLOR
const bold = (text: string): string => (color ? `\u001B[1m${text}\u001B[22m` : text)

class Unexpected extends Error {}

function say(heading: string, ...lines: string[]): void {
  console.log(`\n${bold(`── ${heading} ${'─'.repeat(Math.max(0, WIDTH - 4 - heading.length))}`)}`)
  for (const line of lines) console.log(line)
  if (lines.length > 0) console.log()
}

interface Played {
  stdout: string
  /** When it said that it patches the live Service, by the clock of this machine. */
  patchedAt: number
}

/** Runs a script as a person would, its output shown as it comes, but for what is too long to read. */
async function play(
  workspace: Workspace,
  script: Script,
  flags: readonly string[],
  code: number,
  onSaid: (line: string) => void = () => {},
): Promise<Played> {
  console.log(bold(`$ bun scripts/${script}.ts ${['--env production', ...flags.map(quoted)].join(' ')}`))
  let patchedAt = 0
  const onLine = (line: string): void => {
    if (line.includes(` patch service ${APP} `)) patchedAt = Date.now()
    onSaid(line)
    for (const row of readable(line, workspace)) console.log(row)
  }
  const { stdout, ...ended } = await workspace.run(script, ['--json', ...flags], { onLine })
  if (ended.code !== code) throw new Unexpected(`${script} exited with ${ended.code}, not ${code}`)
  return { stdout, patchedAt }
}

const quoted = (word: string): string => (/[^\w.-]/.test(word) ? `'${word}'` : word)

/** Commands without where the cluster is, which here is always the same; they and logs cut, all else wrapped. */
function readable(line: string, { namespace, cluster }: Workspace): string[] {
  const where = ` --context=${cluster.context} --namespace=${namespace} --request-timeout=15s`
  const text = line.replace(where, '')
  if (text.length <= WIDTH) return [text]
  if (/^  [$│] /.test(text)) return [`${text.slice(0, WIDTH - 1)}…`]
  const indent = ' '.repeat(/^[·✓✗! ]*/.exec(text)?.[0].length ?? 0)
  const rows: string[] = ['']
  for (const word of text.slice(indent.length).split(' ')) {
    const row = rows.at(-1) ?? ''
    if (row && indent.length + row.length + 1 + word.length > WIDTH) rows.push(word)
    else rows[rows.length - 1] = row ? `${row} ${word}` : word
  }
  return rows.map((row, i) => (i === 0 ? text.slice(0, indent.length) : indent) + row)
}

function expectThat(holds: boolean, otherwise: string): void {
  if (!holds) throw new Unexpected(otherwise)
}

/** One switch, told twice: by the script's witness, and by a client that knows nothing of it. */
function tellTwice(record: Record, samples: readonly Sample[], patchedAt: number, version: string): void {
  const proof = record.switches[0]
  if (!proof) throw new Unexpected('the record holds no proof of the switch')
  const after = samples.filter(({ done }) => done >= patchedAt)
  const first = after.find((sample) => sample.version === version)
  const fresh = after.filter(({ kind }) => kind === 'new')
  const last = fresh.findLast((sample) => sample.version && sample.version !== version)
  const lastKept = after.findLast((sample) => sample.version && sample.version !== version)
  const rows: [string, number | undefined, number | undefined][] = [
    ['requests', proof.requests, after.length],
    ['failed', proof.failures, samples.filter((sample) => failures([sample]).length > 0).length],
    ['patch → first answer of the new color, ms', proof.firstNew, since(first, patchedAt)],
    ['patch → last answer of the old one, ms', proof.lastOldOnNew, since(last, patchedAt)],
    ['… on connections that were kept, ms', proof.lastOld, since(lastKept, patchedAt)],
  ]
  console.log(`\n${''.padEnd(44)}${'the record'.padStart(14)}${'the client'.padStart(14)}`)
  for (const [name, ours, theirs] of rows) {
    console.log(`${name.padEnd(44)}${figure(ours).padStart(14)}${figure(theirs).padStart(14)}`)
  }
  expectThat(proof.failures === 0, `the witness counted ${proof.failures} failed requests`)
}

const since = (sample: Sample | undefined, moment: number): number | undefined =>
  sample && sample.done - moment
const figure = (value: number | undefined): string => (value === undefined ? '–' : String(Math.round(value)))

function calm(traffic: Traffic, from: number): Sample[] {
  const samples = traffic.samples().filter(({ at }) => at >= from)
  const failed = failures(samples)
  expectThat(failed.length === 0, `users met failures: ${failed.join(', ')}`)
  expectThat(samples.length > 0, 'nobody asked anything')
  return samples
}

/** Witnessed closely, so that the figures of a switch are fine. */
const traffic100 = { witness: { ...WITNESS, rate: 100, before: '300ms', after: '500ms' }, drain: '300ms' }

/** As many requests in half the time. */
const { performance: load } = ALL_GATES
const allGates = { ...ALL_GATES, performance: { ...load, rate: 200, liveRate: 200, duration: '5s' } }

/** What fails first is enough to tell. */
const browserAlone = { ui: { ...ALL_GATES.ui, workers: 1, maxFailures: 1 }, accounts: ALL_GATES.accounts }

/** All pods of a color in one wave. */
const strategy = { op: 'replace', path: '/spec/strategy/rollingUpdate/maxSurge', value: '100%' }
const patches = { painted: [{ target: { kind: 'Deployment' }, patch: [strategy] }] }

/** Flags that leave out what needs a browser, where there is none: the reason goes into the record. */
async function withoutBrowser(): Promise<string[]> {
  const { ended } = start([process.execPath, join(ROOT, 'verify/browser.ts')])
  const { code, stderr } = await ended
  if (code === 0) return []
  console.log(`Left out, since there is no browser: ${stderr.trim()}\n`)
  return ['--skip', 'ui,page-quality', '--reason', 'no browser on this machine']
}

/** One pod after another is told to fail a part of its users, until some time has passed without a new one. */
async function spoil(url: string): Promise<void> {
  const body = JSON.stringify({ FAULT_LIVE_ERROR_RATE: '0.3' })
  for (let asked = 0; asked < 20; asked++)
    await fetch(`${url}/faults`, { method: 'POST', body, keepalive: false })
}

async function demo(rehearsal: Rehearsal): Promise<void> {
  const [workspace] = await Promise.all([
    rehearsal.open(
      {
        // The pods share a database: on a sandbox a file, elsewhere one pod has its own.
        ...(rehearsal.cluster.kind === 'sandbox' ? { migration: true } : { replicas: 1 }),
        settings: traffic100,
        patches,
      },
      '1.0.0',
      '1.1.0',
      '1.4.0',
    ),
    rehearsal.images.push('1.2.0', { FAULT_CRASH_AT_START: '1' }),
    rehearsal.images.push('1.2.1', { FAULT_BROKEN_LOGIN: '1' }),
    rehearsal.images.push('1.3.0', { FAULT_LIVE_ERROR_RATE: '0.2' }),
    rehearsal.images.push('1.3.1', { FAULT_REMOTE: '1' }),
  ])

  say('1  A first release')
  await play(workspace, 'deploy', ['--version', '1.0.0', '--yes'], 0)

  say(
    '2  The next one, through every gate, under 100 requests a second',
    'Half of them on new connections, half on 10 that are kept. Before they meet it,',
    'a load generator, a browser and a security probe try it.',
  )
  const skip = await withoutBrowser()
  workspace.configure({ ...traffic100, ...allGates })
  const traffic = await workspace.traffic(100, 10)
  try {
    const started = Date.now()
    const { stdout, patchedAt } = await play(workspace, 'deploy', ['--version', '1.1.0', '--yes', ...skip], 0)
    const record = parseRecord(stdout)
    const tried = new Set(record.checks.map(({ gate }) => gate))
    expectThat(tried.size === 5, `not every kind of check ran: ${[...tried].join(', ')}`)
    tellTwice(record, calm(traffic, started), patchedAt, '1.1.0')

    say('3  A release that crashes', 'It is stopped before traffic moves: exit 1, and its own log is shown.')
    const crashed = Date.now()
    await play(workspace, 'deploy', ['--version', '1.2.0', '--yes'], 1)

    if (skip.length === 0) {
      say(
        '4  A release whose login button is broken',
        'All is well with its pods. The browser notices: exit 1.',
      )
      workspace.configure({ ...traffic100, ...browserAlone })
      await play(workspace, 'deploy', ['--version', '1.2.1', '--yes'], 1)
    }
    expectThat(
      calm(traffic, crashed).every(({ version }) => version === '1.1.0'),
      'a broken release got traffic',
    )
    workspace.configure(traffic100)

    say(
      '5  A release that fails users alone',
      'No check before the switch can see it. It is rolled back: exit 3.',
    )
    await play(workspace, 'deploy', ['--version', '1.3.0', '--yes'], 3)
    await play(workspace, 'deploy', ['--version', '1.3.0', '--yes'], 6)

    say(
      '6  A release that begins to fail once it is live',
      'Users are watched, beside the old color and after it: exit 3. (Seconds here are',
      'minutes elsewhere.)',
    )
    workspace.configure({
      ...traffic100,
      bake: { first: '2s', time: '20s', maxTime: '1m', every: '1s', probes: 20 },
    })
    await play(workspace, 'deploy', ['--version', '1.3.1', '--yes'], 3, (line) => {
      if (line.includes('Watch ') && line.includes(' beside '))
        setTimeout(() => void spoil(workspace.url), 1000)
    })
    workspace.configure(traffic100)

    say('7  A rollback by hand', 'The release before is still warm: one read, one patch.')
    const fixed = Date.now()
    workspace.configure({ ...traffic100, afterSwitch: 'keep' })
    await play(workspace, 'deploy', ['--version', '1.4.0', '--yes'], 0)
    await play(workspace, 'rollback-deployment', ['--reason', 'users miss the old page', '--yes'], 0)
    calm(traffic, fixed)
  } finally {
    await traffic.stop()
  }

  say('8  What is live, and what happened')
  await play(workspace, 'deployment-status', [], 0)
  console.log()
  await play(workspace, 'deployment-history', [], 0)
  const outcomes = (await workspace.history()).map(({ kind, outcome }) => `${kind} ${outcome}`).toReversed()
  const announced = [
    'deploy succeeded',
    'deploy succeeded',
    'deploy failed',
    ...(skip.length === 0 ? ['deploy failed'] : []),
    'deploy rolled-back',
    'deploy rolled-back',
    'deploy taken-back',
    'rollback succeeded',
  ]
  expectThat(outcomes.join() === announced.join(), `the history reads otherwise: ${outcomes.join(', ')}`)
}

async function main(): Promise<void> {
  if (process.argv.includes('--help')) return void process.stdout.write(usage)
  const began = performance.now()
  const rehearsal = await startRehearsal()
  const stop = async (): Promise<void> => {
    await rehearsal.close()
    process.exit(130)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
  try {
    await demo(rehearsal)
    console.log(`\nAll went as announced, in ${Math.round((performance.now() - began) / 1000)} s.`)
  } catch (error) {
    console.error(`\n✗ ${error instanceof Unexpected ? error.message : String(error)}`)
    process.exitCode = 1
  } finally {
    await rehearsal.close()
  }
}

if (import.meta.main) await main()
