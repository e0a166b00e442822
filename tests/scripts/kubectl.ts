/** A kubectl on PATH that answers from a cluster which the test holds. The real one renders. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { Command } from '../../lib/command.ts'
import { Cluster } from '../lib/cluster.ts'

const root = join(import.meta.dir, '../..')

const program = (url: string): string => `#!${process.execPath}
const input = process.argv.includes('-') ? await Bun.stdin.text() : undefined
const answer = await fetch('${url}', { method: 'POST', body: JSON.stringify({ args: process.argv.slice(2), input }) })
const { stdout, stderr, exitCode } = await answer.json()
process.stdout.write(stdout)
process.stderr.write(stderr)
process.exitCode = exitCode
`

export interface Ended {
  out: string
  err: string
  code: number
}

export interface Rehearsed extends AsyncDisposable {
  cluster: Cluster
  /** A registry that has every image. */
  registry: string
  run(script: string, ...args: string[]): Promise<Ended>
  /** The same with more environment variables. */
  with(variables: Record<string, string>, script: string, ...args: string[]): Promise<Ended>
}

export function rehearseScripts(digest: string): Rehearsed {
  const cluster = new Cluster()
  cluster.intercept = (line) => (line.startsWith('kustomize') ? cluster.kustomize(line) : undefined)
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      // No release is beside an image, and of the image itself nothing but its digest is known.
      if (request.method === 'GET' || request.url.includes('.release'))
        return new Response('', { status: 404 })
      if (request.method === 'HEAD') return new Response('', { headers: { 'docker-content-digest': digest } })
      const { args, input } = (await request.json()) as { args: string[]; input?: string }
      const command: Command = ['kubectl', ...args]
      return Response.json(await cluster.read(command, input === undefined ? {} : { input }))
    },
  })
  const folder = mkdtempSync(join(tmpdir(), 'kubectl-test-'))
  writeFileSync(join(folder, 'kubectl'), program(`http://127.0.0.1:${server.port}`))
  chmodSync(join(folder, 'kubectl'), 0o755)
  const PATH = [folder, dirname(process.execPath), process.env.PATH].join(delimiter)

  const run: Rehearsed['with'] = async (variables, script, ...args) => {
    const flags = ['--config', 'tests/lib/deploy.yaml', '--env', 'test', ...args]
    const child = Bun.spawn([process.execPath, `scripts/${script}`, ...flags], {
      cwd: root,
      env: { PATH, HOME: folder, ...variables },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
    return { out, err, code }
  }

  return {
    cluster,
    registry: `127.0.0.1:${server.port}`,
    with: run,
    run: (script, ...args) => run({}, script, ...args),
    [Symbol.asyncDispose]: async () => {
      await server.stop(true)
      rmSync(folder, { recursive: true })
    },
  }
}
