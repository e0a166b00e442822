import { describe, expect, test } from 'bun:test'
import { terminal, type TerminalLog } from '../../../lib/cli/terminal.ts'

function output(
  isTTY: boolean,
  { color = false, verbose = false } = {},
): { written: () => string; log: TerminalLog; pass: (ms: number) => void } {
  let text = ''
  let now = 0
  const write = (more: string): void => void (text += more)
  const log = terminal({ write, isTTY, columns: 80, verbose }, color, () => now)
  return { written: () => text, log, pass: (ms) => void (now += ms) }
}

/** What stays on the screen: a line that was cleared is gone. */
const screen = (text: string): string[] =>
  text.split('\n').map((line) => line.split('\r\u001B[2K').at(-1) ?? '')

describe('elsewhere than on a terminal', () => {
  test('every change is a line of its own, without a control character', () => {
    const { written, log, pass } = output(false)
    log.step('Start 1.1.0 in green')
    log.progress('0 of 2 pods ready')
    pass(1500)
    log.progress('1 of 2 pods ready')
    log.command('kubectl scale deployment/chat --replicas=2')
    log.step('Switch')
    pass(20)
    log.done()
    log.info('proven')
    log.warn('careful')
    log.block('events', 'one\ntwo\n')
    expect(written().split('\n')).toEqual([
      '· Start 1.1.0 in green',
      '  0 of 2 pods ready',
      '  1 of 2 pods ready',
      '  $ kubectl scale deployment/chat --replicas=2',
      '✓ Start 1.1.0 in green 1.5 s',
      '· Switch',
      '✓ Switch 20 ms',
      '  proven',
      '! careful',
      '  events:',
      '  │ one',
      '  │ two',
      '',
    ])
    // eslint-disable-next-line no-control-regex
    expect(written()).not.toMatch(/[\r\u001B]/)
  })

  test('a failure names the step it came in', () => {
    const { written, log } = output(false)
    log.step('Switch')
    log.fail('refused')
    expect(written()).toBe('· Switch\n✗ Switch 0 ms\n✗ refused\n')
  })
})

describe('on a terminal', () => {
  test('the running step is drawn in place, and is no wider than the terminal', () => {
    const { written, log } = output(true)
    log.step('Start 1.1.0 in green')
    log.progress('x'.repeat(200))
    log.info('a line above it')
    const drawn = written().split('\r\u001B[2K')
    expect(drawn.every((line) => line.split('\n')[0]!.length < 80)).toBe(true)
    expect(screen(written())[0]).toBe('  a line above it')
    expect(screen(written())[1]).toStartWith('· Start 1.1.0 in green 0 ms  xxx')
    log.done()
    expect(screen(written())).toEqual(['  a line above it', '✓ Start 1.1.0 in green 0 ms', ''])
  })

  test('it goes on counting by itself, until the step ends', async () => {
    const { written, log, pass } = output(true)
    log.step('Wait')
    pass(61_000)
    while (!written().includes('61 s')) await Bun.sleep(5)
    log.done()
    const ended = written()
    await Bun.sleep(250)
    expect(written()).toBe(ended)
  })

  test('nothing keeps the process alive once the last step has ended', async () => {
    const source = `import { terminal } from '${import.meta.dir}/../../../lib/cli/terminal.ts'
      const log = terminal({ write: () => {}, isTTY: true, columns: 80 }, false)
      for (const name of ['one', 'two']) log.step(name)
      log.fail('no')`
    const run = Bun.spawn([process.execPath, '-e', source], { timeout: 20_000 })
    expect(await run.exited).toBe(0)
  }, 30_000)

  test('a step ends once', () => {
    const { written, log } = output(true)
    log.step('Wait')
    log.done()
    log.done()
    log.fail('later')
    expect(screen(written())).toEqual(['✓ Wait 0 ms', '✗ later', ''])
  })
})

test('colors are there when they are asked for', () => {
  let text = ''
  terminal({ write: (more) => void (text += more), isTTY: false, columns: 80 }, true).warn('careful')
  expect(text).toBe('\u001B[33m!\u001B[39m careful\n')
})

const long = `kubectl patch service chat -p '[${'{"op":"test","path":"/metadata"},'.repeat(20)}\n]'`

describe('a command', () => {
  test('takes one line of a terminal', () => {
    const { written, log } = output(true)
    log.command(long)
    expect(written()).toMatch(/^ {2}\$ kubectl patch service chat -p '\[.*…\n$/)
    expect(written().trimEnd()).toHaveLength(79)
  })

  test('elsewhere, 200 characters', () => {
    const { written, log } = output(false)
    log.command(long)
    expect(written()).toMatch(/^ {2}\$ kubectl patch service chat -p '\[.*…\n$/)
    expect(written().trimEnd()).toHaveLength(200)
  })

  test('that fits is whole', () => {
    const { written, log } = output(true)
    log.command('kubectl scale deployment/chat')
    expect(written()).toBe('  $ kubectl scale deployment/chat\n')
  })

  test.each([true, false])('with --verbose it is whole, as one could paste it (terminal: %p)', (isTTY) => {
    const { written, log } = output(isTTY, { verbose: true })
    log.command(long)
    expect(written()).toBe(`  $ ${long}\n`)
  })
})

describe('what comes from settings, the cluster and logs is only text', () => {
  const hostile = [
    '\u001B]0;title\u0007a\u001B[2J\u001B[31mred\u001B[0m', // sets the title, clears the screen, colors
    'over\rwritten',
    '\u009B2Jc\u0008\u0008\u001Bc', // C1 and backspaces, and a reset
    '\u202Ereversed\u2066\u200B', // shown backwards, and not at all
    '::error::a command of the runner',
    '  ::set-env name=A::b',
    '##[group]another',
    '\u001B]8;;http://elsewhere\u001B\\a link\u001B]8;;\u001B\\',
  ].join('\n')
  const ways: ((log: TerminalLog, text: string) => void)[] = [
    (log, text) => log.step(text),
    (log, text) => (log.step('wait'), log.progress(text)),
    (log, text) => log.info(text),
    (log, text) => log.warn(text),
    (log, text) => log.block(text, text),
    (log, text) => log.fail(text),
    (log, text) => log.print(text),
    (log, text) => log.print(log.style.green(text)),
    (log, text) => log.command(text),
  ]

  test.each(
    ways.map((way) => [/log\.(\w+)\((?!'wait)[^;]*text\)/.exec(way.toString())?.[1] ?? '', way] as const),
  )('%s', (_, way) => {
    for (const verbose of [true, false]) {
      const { written, log } = output(false, { verbose })
      way(log, hostile)
      // eslint-disable-next-line no-control-regex
      expect(written()).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u200B\u202E\u2066]/)
      expect(written()).not.toMatch(/^\s*::/m)
      expect(written()).not.toContain('##[')
      expect(written()).toContain('ared')
    }
  })

  test.each(ways.map((way) => [way] as const))('and on a terminal with colors', (way) => {
    const { written, log } = output(true, { color: true })
    way(log, 'one\u001B[31mtwo\u001B[8mthree\u001B[2J')
    log.done()
    // eslint-disable-next-line no-control-regex
    const ours = /\r\u001B\[2K|\u001B\[(?:1|2|22|31|32|33|39)m/g
    expect(written().replace(ours, '')).not.toContain('\u001B')
    expect(written()).toContain('onetwothree')
  })

  test('its lines stay lines in a block, and a step is one', () => {
    const { written, log } = output(false)
    log.block('log', 'one\r\n\ttwo  three\r50 %\r100 %\n')
    log.step('a\nb')
    expect(written()).toBe('  log:\n  │ one\n  │ \ttwo  three\n  │ 50 %\n  │ 100 %\n· a b\n')
  })

  test('our own styles are kept', () => {
    const { written, log } = output(false, { color: true })
    log.print(log.style.green('2.0.0 is live\nin green'))
    log.print(log.style.bold('Stages'))
    log.print('\u001B[32mnot ours')
    expect(written()).toBe(
      '\u001B[32m2.0.0 is live\u001B[39m\n\u001B[32min green\u001B[39m\n\u001B[1mStages\u001B[22m\nnot ours\n',
    )
  })
})
