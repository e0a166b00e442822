/**
 * What people read, on standard error. On a terminal the running step shows its time and what it waits for, in
 * place; elsewhere every change is a line of its own. Nothing that comes in is more than text: settings, answers of
 * the cluster and logs are written by others.
 */
import { Chalk, type ChalkInstance } from 'chalk'
import { seconds } from '../clock.ts'
import type { Log } from '../log.ts'
import { harmless } from '../text.ts'

export interface Output {
  write(text: string): void
  isTTY: boolean
  columns: number
  /** Commands are shown as a whole, as one could paste them. */
  verbose?: boolean
}

export interface TerminalLog extends Log {
  /** A command that is about to change something: one line of it, or the whole where that was asked for. */
  command(line: string): void
  /** The end of a run that failed: the step it failed in, and why. */
  fail(message: string): void
  /** Text of its own, such as a headline; `style` may stand around the whole of it. */
  print(text: string): void
  style: Pick<ChalkInstance, 'bold' | 'green'>
}

const CLEAR = '\r\u001B[2K'

/** How often a running step's line is drawn again, in ms. */
const REDRAW = 200

/** How much of a command is shown where no terminal says how wide it is. */
const SHOWN = 200

export function terminal(output: Output, color: boolean, now: () => number = Date.now): TerminalLog {
  const style = new Chalk({ level: color ? 1 : 0 })
  let step: { name: string; at: number; state: string } | undefined
  let timer: ReturnType<typeof setInterval> | undefined
  const width = (): number => Math.max(20, output.columns - 1)

  const draw = (): void => {
    if (!output.isTTY || !step) return
    const line = `· ${step.name} ${seconds(now() - step.at)}${step.state && `  ${step.state}`}`
    output.write(CLEAR + style.dim(Bun.sliceAnsi(line, 0, width())))
  }
  const line = (text: string): void => {
    output.write(`${output.isTTY && step ? CLEAR : ''}${text}\n`)
    draw()
  }
  const end = (mark: string): void => {
    if (!step) return
    const { name, at } = step
    step = undefined
    clearInterval(timer)
    output.write(`${output.isTTY ? CLEAR : ''}${mark} ${name} ${style.dim(seconds(now() - at))}\n`)
  }
  return {
    style,
    step: (name) => {
      end(style.green('✓'))
      step = { name: oneLine(name), at: now(), state: '' }
      if (!output.isTTY) output.write(`· ${step.name}\n`)
      else timer = setInterval(draw, REDRAW)
      draw()
    },
    progress: (state) => {
      if (step) step.state = oneLine(state)
      if (output.isTTY) draw()
      else output.write(`  ${oneLine(state)}\n`)
    },
    draw: (state) => {
      if (step) step.state = oneLine(state)
      draw()
    },
    info: (text) => line(`  ${harmless(text)}`),
    warn: (text) => line(`${style.yellow('!')} ${harmless(text)}`),
    command: (text) => {
      const shown = `  $ ${harmless(text)}`
      line(style.dim(output.verbose ? shown : cut(oneLine(shown), output.isTTY ? width() : SHOWN)))
    },
    block: (title, text) =>
      line(
        [
          style.bold(`  ${oneLine(title)}:`),
          ...harmless(text)
            .trimEnd()
            .split('\n')
            .map((row) => `  │ ${row}`),
        ].join('\n'),
      ),
    print: (text) => line(text.split('\n').map(withinStyle).join('\n')),
    done: () => end(style.green('✓')),
    undone: () => end(style.red('✗')),
    fail: (message) => {
      end(style.red('✗'))
      line(`${style.red('✗')} ${harmless(message)}`)
    },
  }
}

const oneLine = (text: string): string => harmless(text).replaceAll('\n', ' ')

function cut(text: string, columns: number): string {
  return Bun.stringWidth(text) <= columns ? text : `${Bun.sliceAnsi(text, 0, columns - 1)}…`
}

/** What `style` puts around a line: bold or green, and its end. */
// eslint-disable-next-line no-control-regex
const FRAME = /^(\u001B\[(?:1|32)m)(.*)(\u001B\[(?:22|39)m)$/

/** A line without escape sequences, but for the style that it has as a whole. */
function withinStyle(text: string): string {
  const [, begin = '', inside = text, end = ''] = FRAME.exec(text) ?? []
  return begin + harmless(inside) + end
}
