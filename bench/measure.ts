/** Times of whole processes, taken in pairs so that a noisy machine hits both sides alike, and where they are kept. */
import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { ROOT, start, type Started } from '../examples/rehearsal/program.ts'
import type { Workspace } from '../examples/rehearsal/workspace.ts'

export interface Times {
  /** ms from the start of the process until the Service read differently, as a watch tells it */
  patched: number
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

/** Calls back at each change of a Service's selector, with the time of it. */
export async function watchSelector(
  { namespace, cluster }: Workspace,
  service: string,
  changed: (color: string, at: number) => void,
): Promise<() => Promise<void>> {
  const form = 'jsonpath={.spec.selector.color}{"\\n"}'
  const command = ['kubectl', '-n', namespace, 'get', 'service', service, '-w', '-o', form]
  const child = Bun.spawn(command, {
    env: { ...process.env, ...cluster.env },
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const seen = Promise.withResolvers<void>()
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder()
    let last = ''
    for await (const chunk of child.stdout) {
      for (const color of decoder.decode(chunk, { stream: true }).split('\n').filter(Boolean)) {
        if (color !== last) changed(color, performance.now())
        last = color
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

/** Runs a program that moves a Service to a color, and takes both times. @throws Error when it failed */
export async function timed(
  workspace: Workspace,
  service: string,
  color: string,
  begin: () => Started,
): Promise<Times> {
  const moved = Promise.withResolvers<number>()
  const stop = await watchSelector(workspace, service, (now, at) => now === color && moved.resolve(at))
  const began = performance.now()
  const { code, stderr, ms } = await begin().ended
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  const patched = (await moved.promise) - began
  await stop()
  return { patched, done: ms }
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
): void {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB`
  const text = [
    `# ${title}`,
    '',
    `${new Date().toISOString().slice(0, 10)}, ${machine}, Bun ${Bun.version}. Medians; each pair in turn, in one run.`,
    '',
    line(head),
    line(head.map(() => '---')),
    ...rows.map(line),
    '',
  ]
  writeFileSync(join(ROOT, 'bench', `results-${name}.md`), text.join('\n'))
}
