/** What a container wrote, in a file of the form that container runtimes use: `<time> stdout F <line>`. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { LogOptions } from '../hooks.ts'

interface Line {
  time: string
  text: string
}

export class ContainerLog {
  readonly #path: string
  #rest = { stdout: '', stderr: '' }
  #decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  #followers = new Set<{ line(line: Line): void; end(): void }>()
  #hasEnded = false

  constructor(path: string) {
    this.#path = path
  }

  write(stream: 'stdout' | 'stderr', chunk: Uint8Array): void {
    const text = this.#rest[stream] + this.#decoders[stream].decode(chunk, { stream: true })
    const lines = text.split('\n')
    this.#rest[stream] = lines.pop() ?? ''
    this.#append(stream, lines)
  }

  /** Keeps a last line without its newline, and lets go of those who follow. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#rest[stream]) this.#append(stream, [this.#rest[stream]])
      this.#rest[stream] = ''
    }
    this.#hasEnded = true
    for (const follower of this.#followers) follower.end()
  }

  read(options: LogOptions): string {
    const since = options.sinceSeconds ? Date.now() - options.sinceSeconds * 1000 : 0
    const recent = this.#lines().filter(({ time }) => Date.parse(time) >= since)
    const { tailLines } = options
    const wanted = tailLines === undefined ? recent : recent.slice(Math.max(0, recent.length - tailLines))
    return wanted.map((line) => format(line, options)).join('')
  }

  /** What there is, then what comes, until the container ends. */
  follow(options: LogOptions): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder()
    const followers = this.#followers
    const hasEnded = this.#hasEnded
    const written = this.read(options)
    let follower: { line(line: Line): void; end(): void }
    return new ReadableStream<Uint8Array>({
      start(controller) {
        if (written) controller.enqueue(encoder.encode(written))
        if (hasEnded) return controller.close()
        follower = {
          line: (line) => controller.enqueue(encoder.encode(format(line, options))),
          end: () => {
            followers.delete(follower)
            controller.close()
          },
        }
        followers.add(follower)
      },
      cancel() {
        followers.delete(follower)
      },
    })
  }

  #append(stream: 'stdout' | 'stderr', texts: string[]): void {
    if (!texts.length) return
    const lines = texts.map((text) => ({ time: new Date().toISOString(), text }))
    appendFileSync(this.#path, lines.map(({ time, text }) => `${time} ${stream} F ${text}\n`).join(''))
    for (const follower of this.#followers) for (const line of lines) follower.line(line)
  }

  #lines(): Line[] {
    if (!existsSync(this.#path)) return []
    const lines = readFileSync(this.#path, 'utf8').split('\n').slice(0, -1)
    return lines.map((line) => {
      const [, time = '', text = ''] = /^(\S+) \S+ \S+ (.*)$/s.exec(line) ?? []
      return { time, text }
    })
  }
}

function format({ time, text }: Line, { timestamps }: LogOptions): string {
  return timestamps ? `${time} ${text}\n` : `${text}\n`
}
