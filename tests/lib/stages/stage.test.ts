import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shell, type Command } from '../../../lib/command.ts'
import { DeployError, Exit } from '../../../lib/errors.ts'
import {
  readReport,
  recordStage,
  runCommand,
  stageResult,
  type Outcome,
  type StageWorld,
} from '../../../lib/stages/stage.ts'
import { loadPipeline } from '../../../lib/settings/load.ts'
import { hostile } from '../hostile.ts'
import { failure } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'stage-test-')))
afterAll(() => rmSync(folder, { recursive: true }))
const reports = join(folder, 'reports')
const commit = '860c1904a1ce19322e91ac35af1ab07466440c37'

function world(stop = new AbortController(), dirty = false): StageWorld {
  return { source: { commit, dirty }, shell: shell(() => {}), signal: stop.signal, now: Date.now, reports }
}

/** A stage of one command, which is judged by the report `report.txt`. */
async function stage(command: Command, { stop = new AbortController(), timeout = 60_000 } = {}) {
  const judged: string[] = []
  const ended = await failure(
    recordStage('lint', world(stop), async (outcome, out) => {
      await runCommand({ command, folder, timeout }, world(stop), outcome, out, () => {
        judged.push(readReport(outcome, join(out, 'report.txt')) ?? 'none')
      })
    }),
  )
  return { ...ended, judged, result: left() }
}

const left = () => stageResult.parse(JSON.parse(readFileSync(join(reports, 'lint/result.json'), 'utf8')))
const sh = (script: string): Command => ['sh', '-c', script]

beforeEach(() => rmSync(reports, { recursive: true, force: true }))

describe('a stage passes', () => {
  test('when its command ends with 0 and leaves its report', async () => {
    const command = sh('pwd > "$REPORTS/report.txt"')
    const { code, judged, result } = await stage(command)
    expect([code, judged]).toEqual([0, [`${folder}\n`]])
    expect(result).toMatchObject({
      stage: 'lint',
      passed: true,
      problems: [],
      exitCode: 0,
      commit,
      command: [...command],
    })
    const sha256 = new Bun.CryptoHasher('sha256').update(`${folder}\n`).digest('hex')
    const file = join(reports, 'lint/report.txt')
    expect(result.artifacts).toEqual([{ file, sha256, bytes: folder.length + 1 }])
  })

  test('and its result says when the tree was not the commit', async () => {
    await recordStage('lint', world(undefined, true), () => Promise.resolve())
    expect(left().commit).toBe(`${commit}-dirty`)
  })
})

describe('a stage fails', () => {
  test.each<[string, string, RegExp, string[]]>([
    [
      'when its command does, and its report is still read',
      'echo 3 errors > "$REPORTS/report.txt"; exit 3',
      /exited with 3$/,
      ['3 errors\n'],
    ],
    ['without a report, whatever the exit code', 'exit 0', /left no report .*report\.txt/, ['none']],
    ['when there is no such program', 'exec /no/such/program', /exited with 12[67]/, ['none']],
  ])('%s', async (_, script, message, judged) => {
    const ended = await stage(sh(script))
    expect(ended).toMatchObject({ code: 1, message: expect.stringMatching(message), judged })
    expect(ended.result.passed).toBe(false)
  })

  test('by the report of an earlier run it does not pass', async () => {
    mkdirSync(join(reports, 'lint'), { recursive: true })
    writeFileSync(join(reports, 'lint/report.txt'), 'all good')
    writeFileSync(join(reports, 'lint/result.json'), '{"passed":true}')
    expect(await stage(sh('exit 0'))).toMatchObject({ code: 1, judged: ['none'], result: { passed: false } })
  })

  test('with 70 when it takes too long, and its children with it', async () => {
    const { code, message, result } = await stage(sh('sleep 60 & echo $! > pid; wait'), { timeout: 300 })
    expect([code, message]).toEqual([Exit.timedOut, expect.stringMatching(/did not end within 300 ms$/)])
    expect(result.passed).toBe(false)
    const pid = readFileSync(join(folder, 'pid'), 'utf8').trim()
    while (existsSync(`/proc/${pid}`) && !/^State:\s+[ZX]/m.test(status(pid))) await Bun.sleep(10)
  })

  test('also a command that ignores being told to end', async () => {
    const { code } = await stage(sh('trap "" TERM; while :; do sleep 1; done'), { timeout: 200 })
    expect(code).toBe(Exit.timedOut)
  })

  test('with 130 when it is interrupted, and says so in its result', async () => {
    const stop = new AbortController()
    const running = stage(sh('touch started; exec sleep 60'), { stop })
    while (!existsSync(join(folder, 'started'))) await Bun.sleep(10)
    stop.abort(new DeployError('Interrupted (SIGINT)', Exit.interrupted))
    const { code, result } = await running
    expect(code).toBe(130)
    expect(result).toMatchObject({
      passed: false,
      problems: expect.arrayContaining(['Interrupted (SIGINT)']),
    })
  })

  test('with what its body threw, which is in the result', async () => {
    const broken = recordStage('lint', world(), (outcome: Outcome) => {
      outcome.counts = { files: 3 }
      throw new TypeError('a bug')
    })
    expect(await failure(broken)).toEqual({ code: 'a bug', message: 'TypeError: a bug' })
    expect(left()).toMatchObject({ passed: false, problems: ['a bug'], exitCode: null, counts: { files: 3 } })
  })
})

test('no shell reads an argument', async () => {
  const bun =
    'require("fs").writeFileSync(process.env.REPORTS + "/report.txt", JSON.stringify(process.argv.slice(1)))'
  const { code, judged } = await stage([process.execPath, '-e', bun, '--', ...hostile])
  expect(code).toBe(0)
  expect(JSON.parse(judged[0] ?? '')).toEqual(hostile)
  expect(existsSync('/tmp/pwned')).toBe(false)
})

const status = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return 'State: X'
  }
}

describe("deploy.yaml's stages", () => {
  const file = join(folder, 'deploy.yaml')
  const load = (yaml: string) => {
    writeFileSync(file, yaml)
    return Promise.try(loadPipeline, file, {})
  }
  const head = 'app: chat\nimage: ghcr.io/team/chat\n'

  test('are read, the folder from where the file is; other sections do not matter', async () => {
    const pipeline = await load(`${head}smoke: 7\nstages:\n  folder: app\n  lint: { command: [eslint, .] }\n`)
    expect(pipeline).toEqual({
      app: 'chat',
      image: 'ghcr.io/team/chat',
      stages: {
        folder: join(folder, 'app'),
        lint: { command: ['eslint', '.'], timeout: 600_000, report: 'eslint.json' },
      },
    })
  })

  test.each([
    [`${head}stages:\n  lint:\n    command: eslint .\n`, /:5: stages\.lint\.command: .*tuple/],
    [`${head}stages:\n  lint:\n    command: []\n`, /:5: stages\.lint\.command/],
    [`${head}stages:\n  lint:\n    comand: [x]\n`, /:5: stages\.lint\.comand: unknown setting/],
    [
      `${head}stages:\n  test:\n    command: [x]\n    reports: {}\n`,
      /:6: stages\.test\.reports: expected at least one report/,
    ],
    [
      `${head}stages:\n  test:\n    command: [x]\n    reports: { unit: unit.xml }\n`,
      /stages\.test\.coverage/,
    ],
    [
      `${head}stages:\n  build:\n    command: [x]\n    artifacts: [../secret]\n`,
      /:6: stages\.build\.artifacts\.0: expected a path inside/,
    ],
    [`${head}stages:\n  docker:\n    lockfiles: [yarn.lock]\n`, /:5: stages\.docker\.lockfiles\.0/],
    [`${head}stages:\n  docker:\n    lockfiles: []\n`, /:5: stages\.docker\.lockfiles/],
    [`${head}stages: [`, /:\d+: Flow sequence/],
    ['', /the file: /],
  ])('%j is refused with its line', async (yaml, message) =>
    expect(await failure(load(yaml))).toEqual({ code: 2, message: expect.stringMatching(message) }),
  )
})
