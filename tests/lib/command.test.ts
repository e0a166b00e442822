import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandLine, shell, type Command } from '../../lib/command.ts'
import { CTRL_C, onTerminal } from './pty.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), 'command-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

const printed: string[] = []
const sh = shell((line) => printed.push(line))
const bun = process.execPath
/** Prints its arguments as JSON. */
const echo = (...args: string[]): Command => [
  bun,
  '-e',
  'console.log(JSON.stringify(process.argv.slice(1)))',
  '--',
  ...args,
]

const touched = join(folder, 'touched')
const hostile = [
  `$(touch ${touched})`,
  `\`touch ${touched}\``,
  `; touch ${touched}`,
  `| touch ${touched}`,
  `' ; touch ${touched} ; '`,
  `" ; touch ${touched} ; "`,
  'a\nb\r\nc\td',
  '',
  '*',
  '~',
  '$HOME',
  '--flag=x y',
  '-rf',
  '\\',
  "it's",
  '!!',
  'ümlaut 😀',
  '{"a":"b"}',
]

describe('arguments', () => {
  test('arrive as they are', async () => {
    const { stdout, exitCode } = await sh.read(echo(...hostile))
    expect(JSON.parse(stdout)).toEqual(hostile)
    expect(exitCode).toBe(0)
    expect(existsSync(touched)).toBe(false)
  })

  test('are printed so that the line can be pasted', async () => {
    const run = Bun.spawnSync(['sh', '-c', commandLine(echo(...hostile))])
    expect(JSON.parse(run.stdout.toString())).toEqual(hostile)
    expect(existsSync(touched)).toBe(false)
  })

  test.each<[Command, string]>([
    [['kubectl', 'get', 'pods', '-o', 'json'], 'kubectl get pods -o json'],
    [['kubectl', '--selector=app=chat,color=blue'], 'kubectl --selector=app=chat,color=blue'],
    [['a', 'two words'], "a 'two words'"],
    [['a', ''], "a ''"],
    [['a', "it's"], `a 'it'\\''s'`],
  ])('%j reads %s', (command, line) => expect(commandLine(command)).toBe(line))
})

describe('read and write', () => {
  test('what a person has in ~/.bashrc is not run before a program that is given input', async () => {
    writeFileSync(join(folder, '.bashrc'), 'echo "Welcome back"\n')
    // As of what cron, a container or the last command of a bash -c has started.
    const env = { HOME: folder, SHLVL: '0' }
    expect(await sh.read(['cat'], { input: '{}', env })).toEqual({ stdout: '{}', stderr: '', exitCode: 0 })
  })

  test('a write is printed before it runs, a read is not', async () => {
    await sh.read(['true'])
    expect(printed).toEqual([])
    await sh.write(['false'])
    expect(printed).toEqual(['false'])
  })

  test('an exit code is an answer', async () => {
    expect(await sh.read(['sh', '-c', 'echo out; echo err >&2; exit 3'])).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      exitCode: 3,
    })
  })

  test('a program that is not there is 127', async () => {
    expect((await sh.read(['no-such-program-anywhere', 'x'])).exitCode).toBe(127)
  })

  test('input goes to standard input, whatever is in it and however long', async () => {
    const input = `$(touch ${touched})'"\n${'x'.repeat(500_000)}`
    expect((await sh.read(['cat'], { input })).stdout).toBe(input)
    expect((await sh.read(['cat'], { input: '' })).stdout).toBe('')
    expect((await sh.read(['cat'])).stdout).toBe('')
  })

  test.each([6, 300_000])(
    'a program that ends before it reads its %d bytes of input is no fault of ours',
    async (size) => {
      // In a process of its own: what goes wrong is nobody's to catch.
      const text = `
      import { shell } from '${join(import.meta.dir, '../../lib/command.ts')}'
      for (let i = 0; i < 20; i++) {
        const command = ['sh', '-c', 'exec <&-; exit 3']
        const { exitCode } = await shell(() => {}).read(command, { input: 'x'.repeat(${size}) })
        if (exitCode !== 3) process.exit(1)
      }
      await Bun.sleep(50)
      console.log('alive')`
      const file = join(folder, 'deaf.ts')
      writeFileSync(file, text)
      const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, file])
      expect([stdout.toString(), stderr.toString(), exitCode]).toEqual(['alive\n', '', 0])
    },
  )

  test('a time-out ends the whole tree', async () => {
    const file = join(folder, 'pids')
    // Where the machine is so busy that nothing has begun by then, a longer one shows the same.
    for (let timeout = 300; !existsSync(file) && timeout < 20_000; timeout *= 2) {
      const pids = `${file}.new && mv ${file}.new ${file}`
      const { exitCode } = await sh.read(['sh', '-c', `sleep 60 & echo $! > ${pids}; wait`], { timeout })
      expect(exitCode).toBe(124)
    }
    await gone(Number(await Bun.file(file).text()))
  })

  test('a signal ends it', async () => {
    const stop = new AbortController()
    const running = sh.read(['sleep', '60'], { signal: stop.signal })
    setTimeout(() => stop.abort(new Error('SIGINT')), 50)
    expect((await running).exitCode).not.toBe(0)
    expect((await sh.read(['sleep', '60'], { signal: stop.signal })).exitCode).not.toBe(0)
  })
})

/** A program of ours, as source; `file(name)` is where a child of it leaves its pid. */
const file = (name: string): string => join(folder, name)
const ours = (body: string): string[] => [
  bun,
  '-e',
  `import { shell } from '${import.meta.dir}/../../lib/command.ts'
   const sh = shell(() => {})
   ${body}`,
]
/** Writes its pid to a file, and then works for as long as nobody ends it, whatever it is told. */
const deaf = (name: string): string =>
  `sh -c 'trap "" TERM INT HUP; echo $$ > ${file(name)}.new; mv ${file(name)}.new ${file(name)}; while :; do sleep 0.05; done'`
const pidIn = async (name: string): Promise<number> => {
  for (;;) {
    const text = await Bun.file(file(name))
      .text()
      .catch(() => '')
    if (text.endsWith('\n')) return Number(text)
    await Bun.sleep(5)
  }
}

describe('who ends with whom', () => {
  test('a Ctrl-C in a terminal does not reach a program that is let finish', async () => {
    const pty = onTerminal(
      ours(`process.on('SIGINT', () => console.log('interrupted'))
        const wait = 'echo $$ > ${file('finishing')}; until [ -e ${file('go')} ]; do sleep 0.02; done; echo done'
        const { stdout, exitCode } = await sh.read(['sh', '-c', wait])
        console.log(['it said', stdout.trim(), exitCode].join(' '))`),
    )
    await pidIn('finishing')
    pty.type(CTRL_C)
    await pty.until('interrupted')
    writeFileSync(file('go'), '')
    await pty.until('it said done 0')
    expect(await pty.exited).toBe(0)
  })

  test('nothing that runs outlives a process that exits', async () => {
    const exits = Bun.spawn(
      ours(`void sh.read(['sh', '-c', ${JSON.stringify(deaf('left-behind'))}])
        while (!(await Bun.file('${file('left-behind')}').exists())) await Bun.sleep(5)
        process.exit(7)`),
    )
    expect(await exits.exited).toBe(7)
    await gone(await pidIn('left-behind'))
  })

  test.each<[string, string, number]>([
    ['ends well', 'exit 0', 0],
    ['fails', 'exit 3', 3],
    ['is killed', 'kill -9 $$', 124],
  ])('nothing is left of a program that leaves nothing, when it %s', async (how, end, code) => {
    const name = how.replaceAll(' ', '-')
    const wait = `until [ -e ${file(name)} ]; do sleep 0.02; done`
    const { exitCode } = await sh.read(['sh', '-c', `${deaf(name)} & ${wait}; ${end}`], {
      leavesNothing: true,
    })
    expect(exitCode).toBe(code)
    await gone(await pidIn(name))
  })

  test('nor when its time is over, or it is interrupted', async () => {
    const stop = new AbortController()
    const late = sh.read(['sh', '-c', `${deaf('late')} & wait`], { leavesNothing: true, timeout: 1000 })
    const stopped = sh.read(['sh', '-c', `${deaf('stopped')} & wait`], {
      leavesNothing: true,
      signal: stop.signal,
    })
    const pid = await pidIn('stopped')
    stop.abort(new Error('SIGINT'))
    expect((await stopped).exitCode).toBe(124)
    await gone(pid)
    expect((await late).exitCode).toBe(124)
    await gone(await pidIn('late'))
  })
})

/** Until a process has ended: one that was killed may take a moment to be reaped. */
async function gone(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(1)
  const isAlive = async () =>
    /^State:\s+[^ZX]/m.test(
      await Bun.file(`/proc/${pid}/status`)
        .text()
        .catch(() => ''),
    )
  while (await isAlive()) await Bun.sleep(10)
}

/** How many watchers of programs are left that have this test's folder among their arguments. */
const watchers = (): number =>
  Number(Bun.spawnSync(['sh', '-c', `ps -eo args= | grep -c 'rea[d] -r _ .*${folder}'`]).stdout.toString())

describe('start', () => {
  test('gives the line that matches, and stops', async () => {
    const file = join(folder, 'served')
    const running = await sh.start(['sh', '-c', `echo $$ > ${file}; echo one; echo port 81; sleep 60`])
    expect((await running.line(/port (\d+)/, 10_000))[1]).toBe('81')
    await running.stop()
    await gone(Number(await Bun.file(file).text()))
  })

  test('ends with this process, also when that is killed', async () => {
    const file = join(folder, 'orphan')
    const program = `
      import { shell } from '${join(import.meta.dir, '../../lib/command.ts')}'
      const running = await shell(() => {}).start(['sh', '-c', 'sleep 60 & echo $! > ${file}; echo up; wait'])
      await running.line(/up/, 60_000)
      process.kill(process.pid, 'SIGKILL')`
    expect((await sh.read([bun, '-e', program])).exitCode).not.toBe(0)
    await gone(Number(await Bun.file(file).text()))
  })

  test('leaves no watcher behind, whether it is stopped or ends by itself', async () => {
    const stopped = await sh.start(['sh', '-c', 'echo up; sleep 60', folder])
    const ended = await sh.start(['echo', 'up', folder])
    await Promise.all([stopped.line(/up/, 60_000), ended.line(/up/, 60_000)])
    expect(watchers()).toBeGreaterThan(0)
    await stopped.stop()
    await ended.stop()
    while (watchers() > 0) await Bun.sleep(10)
    expect(watchers()).toBe(0)
  })

  test('a program that ends first says why', async () => {
    const running = await sh.start(['sh', '-c', 'echo no such service >&2; exit 1'])
    expect(running.line(/port/, 10_000)).rejects.toThrow(/ended: no such service$/)
    await running.stop()
  })

  test('a program that says nothing is not waited for', async () => {
    const running = await sh.start(['sleep', '60'])
    expect(running.line(/port/, 20)).rejects.toThrow('sleep 60 says nothing')
    await running.stop()
  })
})
