import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { hostname, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { actor, text } from '../../../lib/cli/cli.ts'
import { CTRL_C, CTRL_D, onTerminal } from '../pty.ts'
import { failure } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

/** A script whose body is given, as source. */
const sourceOf = (body: string): string => `
    import { common, confirm, data, main, text } from '${import.meta.dir}/../../../lib/cli/cli.ts'
    import { DeployError } from '${import.meta.dir}/../../../lib/errors.ts'
    await main('Usage: bun script.ts --env NAME [flags]\\n\\n  more\\n', { ...common, count: { type: 'string' } }, async (run) => {
      const { flags, log, signal } = run
      ${body}
    })`

/** Runs it as a process. */
async function script(
  body: string,
  args: string[] = [],
  env: Record<string, string> = {},
  signal?: NodeJS.Signals,
) {
  const source = sourceOf(body)
  const { PATH = '' } = process.env
  const run = Bun.spawn([process.execPath, '-e', source, '--', ...args], {
    env: { PATH, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([run.stdout.text(), said(run, signal), run.exited])
  return { out, err, code }
}

/** What it says; a signal is sent as soon as it says anything, which is when its step has begun. */
async function said(
  run: { stderr: ReadableStream<Uint8Array>; kill(signal: NodeJS.Signals): void },
  signal?: NodeJS.Signals,
) {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of run.stderr) {
    if (text === '' && signal) run.kill(signal)
    text += decoder.decode(chunk)
  }
  return text
}

describe('flags', () => {
  const show = 'data(flags); void [log, signal, DeployError, confirm, text]'
  test.each([
    [['--env', 'a', '--env=b', '--json', '--count', '12e4567'], { env: 'b', json: true, count: '12e4567' }],
    [['--count', '1.10'], { count: '1.10' }],
  ])('%j', async (args, flags) => {
    const { out, code } = await script(show, args)
    expect([JSON.parse(out), code]).toEqual([flags, 0])
  })

  test.each([
    [['--evn', 'test'], /^✗ Unknown option '--evn'\. Usage: bun script\.ts --env NAME \[flags\]\n$/],
    [['test'], /^✗ Unexpected argument 'test'\. Usage: /],
    [['--env'], /^✗ Option '--env <value>' argument missing\. Usage: /],
  ])('%j is wrong', async (args, message) => {
    const { out, err, code } = await script(show, args)
    expect(err).toMatch(message)
    expect([out, code]).toEqual(['', 2])
  })

  test('help goes to standard output, and nothing is run', async () => {
    expect(await script('throw new Error("run")', ['-h'])).toEqual({
      out: 'Usage: bun script.ts --env NAME [flags]\n\n  more\n',
      err: '',
      code: 0,
    })
  })
})

describe('how a script ends', () => {
  const refuse = `void [flags, signal]; throw new DeployError('100% wrong,\\nand why', 6)`
  test('with the sentence and the code of what was thrown', async () => {
    expect(await script(refuse)).toEqual({ out: '', err: '✗ 100% wrong,\nand why\n', code: 6 })
  })

  test('in GitHub Actions, also as an annotation', async () => {
    const { out, err } = await script(refuse, [], { GITHUB_ACTIONS: 'true' })
    expect(err).toEndWith('::error::100%25 wrong,%0Aand why\n')
    expect(out).toBe('') // which is for data
  })

  test('with a stack where it is a bug of ours', async () => {
    const { err, code } = await script(`throw new TypeError('oops')`)
    expect(err).toMatch(/^✗ This is a bug of the scripts: TypeError: oops\n\s+at /)
    expect(code).toBe(1)
  })

  test('marks the step it failed in', async () => {
    expect((await script(`log.step('Switch'); throw new DeployError('refused')`)).err).toMatch(
      /^· Switch\n✗ Switch \d+ m?s\n✗ refused\n$/,
    )
  })

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s: 130, once what waits for the signal has ended',
    async (name) => {
      const wait = `log.step('Wait'); const late = setTimeout(() => {}, 60_000)
      await new Promise((_, reject) => signal.addEventListener('abort', () => (clearTimeout(late), reject(signal.reason))))`
      const { err, code } = await script(wait, [], {}, name)
      expect(err).toContain(`✗ Interrupted (${name})`)
      expect(code).toBe(130)
    },
  )

  test('an error that an interrupt causes is told as the interrupt', async () => {
    const wait = `log.step('Wait'); const late = setTimeout(() => {}, 60_000)
      await new Promise((_, reject) => signal.addEventListener('abort', () => (clearTimeout(late), reject(new Error('aborted')))))`
    const { err, code } = await script(wait, [], {}, 'SIGTERM')
    expect(err).toContain('✗ Interrupted (SIGTERM)')
    expect(code).toBe(130)
  })

  test('without a terminal, nothing is colored; with FORCE_COLOR it is', async () => {
    const warn = `log.warn('careful')`
    expect((await script(warn)).err).toBe('! careful\n')
    expect((await script(warn, [], { FORCE_COLOR: '1' })).err).toContain('\u001B[33m')
    expect((await script(warn, [], { FORCE_COLOR: '1', NO_COLOR: '1' })).err).toBe('! careful\n')
  })
})

test('confirm: --yes answers, and must where nobody can be asked', async () => {
  const ask = `log.info(String(await confirm({ flags: { yes: true }, log, signal }, 'Go?')))
    await confirm(run, 'Go?')`
  expect(await script(ask)).toEqual({
    out: '',
    err: '  true\n✗ There is no terminal to ask for confirmation: pass --yes\n',
    code: 2,
  })
})

const asks = (env: Record<string, string> = {}) =>
  onTerminal(
    [process.execPath, '-e', sourceOf(`log.print(await confirm(run, 'Deploy?\\u001B[2J') ? 'Yes.' : 'No.')`)],
    env,
  )

describe('the question, on a terminal', () => {
  test.each<[string, string, string, number]>([
    ['y', 'y\r', 'Yes.', 0],
    ['yes', 'YES\r', 'Yes.', 0],
    ['nothing', '\r', 'No.', 0],
    ['something else', 'yo\r', 'No.', 0],
    ['Ctrl-C', CTRL_C, '✗ Interrupted at the question. Nothing was changed', 130],
    ['Ctrl-D', CTRL_D, '✗ Interrupted at the question. Nothing was changed', 130],
    ['y and Ctrl-C', `y${CTRL_C}`, '✗ Interrupted at the question. Nothing was changed', 130],
  ])('%s', async (_, typed, said, code) => {
    const pty = asks()
    await pty.until('Deploy? [y/N] ')
    pty.type(typed)
    expect(await pty.exited).toBe(code)
    expect(Bun.stripANSI(pty.seen)).toMatch(new RegExp(`\\n${RegExp.escape(said)}\\r?\\n$`))
    expect(pty.seen).not.toContain('bug of the scripts')
  })

  test('a signal while it stands there is told as one', async () => {
    const pty = asks()
    await pty.until('Deploy? [y/N] ')
    pty.signal('SIGTERM')
    expect(await pty.exited).toBe(130)
    expect(Bun.stripANSI(pty.seen)).toContain('✗ Interrupted (SIGTERM)')
  })
})

const waits = (file: string): string[] => [
  process.execPath,
  '-e',
  sourceOf(`log.step('Wait')
    const late = setTimeout(() => {}, 60_000)
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    clearTimeout(late)
    for (let line = 0; line < 20; line++) log.info('nobody reads this')
    log.done()
    await Bun.write('${file}', String(signal.reason.message))`),
]

describe('the end of a terminal', () => {
  test('is an interrupt: what must still be done is done', async () => {
    const file = join(tmpdir(), `cli-test-${process.pid}`)
    const pty = onTerminal(waits(file))
    await pty.until('Wait')
    pty.hangUp()
    await pty.exited
    expect(await Bun.file(file).text()).toBe('Interrupted (SIGHUP)')
    rmSync(file)
  })

  test('Ctrl-\\ ends it at once', async () => {
    const pty = onTerminal(waits('/nowhere'))
    await pty.until('Wait')
    pty.type('\u001C')
    expect(await pty.exited).toBe(131)
  })
})

test('text: an empty flag is a mistake, not a missing one', async () => {
  expect(text({ env: 'a' }, 'env')).toBe('a')
  expect(text({}, 'env')).toBeUndefined()
  expect(text({ env: true }, 'env')).toBeUndefined()
  for (const env of ['', '  ']) {
    expect(await failure(Promise.resolve().then(() => text({ env }, 'env')))).toEqual({
      code: 2,
      message: '--env is empty',
    })
  }
})

test.each([
  [{ GITHUB_ACTOR: 'mona', GITHUB_RUN_ID: '42', USER: 'runner' }, 'mona@github-run-42'],
  [{ USER: 'ada', LOGNAME: 'root' }, `ada@${hostname()}`],
  [{ LOGNAME: 'ada' }, `ada@${hostname()}`],
  [{ USER: '' }, `uid-${userInfo().uid}@${hostname()}`],
])('who is at work is told as well as it is known: %j', (variables, expected) => {
  expect(actor(variables)).toBe(expected)
})
