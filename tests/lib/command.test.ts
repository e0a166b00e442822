import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandLine, shell, type Command } from '../../lib/command.ts'

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

/** How many watchers this process has. */
const watchers = (): number =>
  Number(
    Bun.spawnSync([
      'sh',
      '-c',
      `ps -o args= --ppid ${process.pid} | grep -c 'cat; kil[l]'`,
    ]).stdout.toString(),
  )

describe('start', () => {
  test('gives the line that matches, and stops', async () => {
    const file = join(folder, 'served')
    const running = sh.start(['sh', '-c', `echo $$ > ${file}; echo one; echo port 81; sleep 60`])
    expect((await running.line(/port (\d+)/, 10_000))[1]).toBe('81')
    await running.stop()
    await gone(Number(await Bun.file(file).text()))
  })

  test('ends with this process, also when that is killed', async () => {
    const file = join(folder, 'orphan')
    const program = `
      import { shell } from '${join(import.meta.dir, '../../lib/command.ts')}'
      const running = shell(() => {}).start(['sh', '-c', 'sleep 60 & echo $! > ${file}; echo up; wait'])
      await running.line(/up/, 60_000)
      process.kill(process.pid, 'SIGKILL')`
    expect((await sh.read([bun, '-e', program])).exitCode).not.toBe(0)
    await gone(Number(await Bun.file(file).text()))
  })

  test('leaves no watcher behind, whether it is stopped or ends by itself', async () => {
    const stopped = sh.start(['sh', '-c', 'echo up; sleep 60'])
    const ended = sh.start(['echo', 'up'])
    await Promise.all([stopped.line(/up/, 60_000), ended.line(/up/, 60_000)])
    expect(watchers()).toBeGreaterThan(0)
    await stopped.stop()
    await ended.stop()
    while (watchers() > 0) await Bun.sleep(10)
    expect(watchers()).toBe(0)
  })

  test('a program that ends first says why', async () => {
    const running = sh.start(['sh', '-c', 'echo no such service >&2; exit 1'])
    expect(running.line(/port/, 10_000)).rejects.toThrow(/ended: no such service$/)
    await running.stop()
  })

  test('a program that says nothing is not waited for', async () => {
    const running = sh.start(['sleep', '60'])
    expect(running.line(/port/, 20)).rejects.toThrow('sleep 60 says nothing')
    await running.stop()
  })
})
