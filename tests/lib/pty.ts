/** A program on a terminal of its own, as a person runs it. */

export interface Pty {
  /** All that it has printed so far. */
  readonly seen: string
  /** Waits until it has printed this. */
  until(text: string): Promise<void>
  /** What a person types; `CTRL_C` is a signal to everything in the foreground. */
  type(text: string): void
  signal(name: NodeJS.Signals): void
  /** The window is closed. */
  hangUp(): void
  exited: Promise<number>
}

export const CTRL_C = '\u0003'
export const CTRL_D = '\u0004'

export function onTerminal(command: string[], env: Record<string, string> = {}, columns = 80): Pty {
  const decoder = new TextDecoder()
  let seen = ''
  const { PATH = '', HOME = '/' } = process.env
  const child = Bun.spawn(command, {
    env: { PATH, HOME, TERM: 'xterm', ...env },
    terminal: {
      cols: columns,
      rows: 40,
      data: (_, chunk) => void (seen += decoder.decode(chunk, { stream: true })),
    },
  })
  return {
    get seen() {
      return seen
    },
    until: async (text) => {
      while (!seen.includes(text)) {
        if (child.exitCode !== null) throw new Error(`it ended before it said "${text}", and said:\n${seen}`)
        await Bun.sleep(5)
      }
    },
    type: (text) => void child.terminal?.write(text),
    signal: (name) => child.kill(name),
    hangUp: () => child.terminal?.close(),
    exited: child.exited.finally(() => child.terminal?.close()),
  }
}
