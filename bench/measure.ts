/** Times of whole processes, taken in pairs so that a noisy machine hits both sides alike, and where they are kept. */
import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { ROOT, start, type Started } from '../examples/rehearsal/program.ts'
import type { Workspace } from '../examples/rehearsal/workspace.ts'

export interface Times {
  /** ms from the start of the process until users met the color, each on a connection of their own */
  answered: number
  /** ms of the whole process */
  done: number
}

/** The middle of a list. @throws Error on an empty one */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.floor((sorted.length - 1) / 2)]
  if (upper === undefined || lower === undefined) throw new Error('no values')
  return (lower + upper) / 2
}

/** Calls back with each value that a part of an object has, the present one first, and the time of it. */
export async function watchValue(
  { namespace, cluster }: Workspace,
  object: string,
  part: string,
  changed: (value: string, at: number) => void,
): Promise<() => Promise<void>> {
  const form = `jsonpath={${part}}{"\\n"}`
  const command = ['kubectl', '-n', namespace, 'get', object, '-w', '-o', form]
  const child = Bun.spawn(command, {
    env: { ...process.env, ...cluster.env },
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const seen = Promise.withResolvers<void>()
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder()
    let last: string | undefined
    let rest = ''
    for await (const chunk of child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const value of lines) {
        if (value !== last) changed(value, performance.now())
        last = value
        seen.resolve()
      }
    }
  }
  void read()
  await seen.promise
  return async () => {
    child.kill()
    await child.exited
  }
}

/** ms from now until a part of an object has a value, while a program runs. @throws Error when it failed, or never came to it */
export async function untilValue(
  workspace: Workspace,
  { object, part, is }: { object: string; part: string; is: (value: string) => boolean },
  begin: () => Started,
): Promise<number> {
  let at: number | undefined
  const stop = await watchValue(workspace, object, part, (value, now) => {
    if (is(value)) at ??= now
  })
  const began = performance.now()
  const { code, stderr } = await begin().ended
  await stop()
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  if (at === undefined) throw new Error(`${object} never came to it`)
  return at - began
}

/** ms after which nobody waits for a color any more. */
const NEVER = 60_000

/** Runs a program that moves users to a color, and takes both times. @throws Error when it failed */
export async function untilAnswered({ url }: Workspace, color: string, begin: () => Started): Promise<Times> {
  const began = performance.now()
  const { ended } = begin()
  let answered: number | undefined
  while (answered === undefined && performance.now() - began < NEVER) {
    const about = await fetch(`${url}/version`, { keepalive: false }).then(
      async (answer) => await answer.text(),
      () => '',
    )
    if (about.includes(`"color":"${color}"`)) answered = performance.now() - began
    else await Bun.sleep(3)
  }
  const { code, stderr, ms } = await ended
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  if (answered === undefined) throw new Error(`${color} never answered`)
  return { answered, done: ms }
}

/** A program by its words, in the workspace's cluster. */
export const program =
  ({ cluster }: Workspace, ...command: string[]) =>
  (): Started =>
    start(command, { env: cluster.env })

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** A table with its date and machine, in bench/results-NAME.md. */
export function writeResults(
  name: string,
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  how = 'Medians; each pair in turn, in one run',
): void {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB`
  const text = [
    `# ${title}`,
    '',
    `${new Date().toISOString().slice(0, 10)}, ${machine}, Bun ${Bun.version}. ${how}.`,
    '',
    line(head),
    line(head.map(() => '---')),
    ...rows.map(line),
    '',
  ]
  writeFileSync(join(ROOT, 'bench', `results-${name}.md`), text.join('\n'))
}
