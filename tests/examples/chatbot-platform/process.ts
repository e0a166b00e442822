/** The app as a process of its own, as a container runs it. */
import { join, resolve } from 'node:path'
import type { Environment } from '../../../examples/chatbot-platform/src/environment.ts'

export const SOURCES = join(import.meta.dir, '../../../examples/chatbot-platform/src')

export type Pod = Awaited<ReturnType<typeof startPod>>

/** Runs one of the app's programs, of the sources or by its full path, to its end. */
export async function run(program: string, env: Environment) {
  const child = spawn(program, env)
  const [output, errors, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ])
  return { exitCode, output: output + errors }
}

/** Starts the server, and waits until it is ready. */
export async function startPod(env: Environment, program = 'server.ts') {
  const child = spawn(program, { HOST: '127.0.0.1', PORT: '0', METRICS_PORT: '0', ...env })
  const log = { text: '' }
  const url = Promise.withResolvers<string>()
  const ended = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      log.text += decoder.decode(chunk, { stream: true })
      const found = /"listening","url":"([^"]+)\/"/.exec(log.text)?.[1]
      if (found) url.resolve(found)
    }
    url.reject(new Error(`the server ended: ${log.text}`))
    return child.exited
  })()
  const pod = { child, log, ended, url: await url.promise }
  while (!(await fetch(`${pod.url}/ready`)).ok) await Bun.sleep(10)
  return pod
}

function spawn(program: string, env: Environment) {
  const clean = Object.entries(env).filter(([, value]) => value !== undefined)
  return Bun.spawn([process.execPath, resolve(SOURCES, program)], {
    env: { PATH: process.env['PATH'] ?? '', ...Object.fromEntries(clean) },
    stdout: 'pipe',
    stderr: 'pipe',
  })
}
