import { describe, expect, test } from 'bun:test'
import { terminal, type TerminalLog } from '../../../lib/cli/terminal.ts'

function output(isTTY: boolean): { written: () => string; log: TerminalLog; pass: (ms: number) => void } {
  let text = ''
  let now = 0
  const write = (more: string): void => void (text += more)
  const log = terminal({ write, isTTY, columns: 80 }, false, () => now)
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
