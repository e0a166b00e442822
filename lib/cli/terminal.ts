/**
 * What people read, on standard error. On a terminal the running step shows its time and what it waits for, in
 * place; elsewhere every change is a line of its own.
 */
import { Chalk, type ChalkInstance } from 'chalk'
import { seconds } from '../clock.ts'
import type { Log } from '../log.ts'

export interface Output {
  write(text: string): void
  isTTY: boolean
  columns: number
}

export interface TerminalLog extends Log {
  /** A command that is about to change something. */
  command(line: string): void
  /** The end of a run that failed: the step it failed in, and why. */
  fail(message: string): void
  /** Text as it is, such as a plan. */
  print(text: string): void
  style: ChalkInstance
}

const CLEAR = '\r\u001B[2K'

/** How often a running step's line is drawn again, in ms. */
const REDRAW = 200

export function terminal(output: Output, color: boolean, now: () => number = Date.now): TerminalLog {
  const style = new Chalk({ level: color ? 1 : 0 })
  let step: { name: string; at: number; state: string } | undefined
  let timer: ReturnType<typeof setInterval> | undefined

  const draw = (): void => {
    if (!output.isTTY || !step) return
    const line = `· ${step.name} ${seconds(now() - step.at)}${step.state && `  ${step.state}`}`
    output.write(CLEAR + style.dim(line.slice(0, Math.max(20, output.columns - 1))))
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
      step = { name, at: now(), state: '' }
      if (!output.isTTY) output.write(`· ${name}\n`)
      else timer = setInterval(draw, REDRAW)
      draw()
    },
    progress: (state) => {
      if (step) step.state = state
      if (output.isTTY) draw()
      else output.write(`  ${state}\n`)
    },
    info: (text) => line(`  ${text}`),
    warn: (text) => line(`${style.yellow('!')} ${text}`),
    command: (text) => line(style.dim(`  $ ${text}`)),
    block: (title, text) =>
      line(
        [
          style.bold(`  ${title}:`),
          ...text
            .trimEnd()
            .split('\n')
            .map((row) => `  │ ${row}`),
        ].join('\n'),
      ),
    print: (text) => line(text),
    done: () => end(style.green('✓')),
    fail: (message) => {
      end(style.red('✗'))
      line(`${style.red('✗')} ${message}`)
    },
  }
}
