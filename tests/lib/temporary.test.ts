import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const parent = realpathSync(mkdtempSync(join(tmpdir(), 'temporary-test-')))
afterAll(() => rmSync(parent, { recursive: true }))

/** A process that makes a folder with a file in it, says where, and goes on. */
function ours(goesOn: string) {
  const source = `import { temporaryFolder } from '${import.meta.dir}/../../lib/temporary.ts'
    import { main } from '${import.meta.dir}/../../lib/cli/cli.ts'
    async function work(signal) {
      using folder = temporaryFolder()
      await Bun.write(folder.path + '/secret', 'x')
      console.log(folder.path)
      ${goesOn}
    }
    await main('Usage: x', {}, async ({ signal }) => await work(signal))`
  return Bun.spawn([process.execPath, '-e', source], {
    env: { PATH: process.env.PATH ?? '', TMPDIR: parent },
    stdout: 'pipe',
    stderr: 'ignore',
  })
}

const left = (): string[] => readdirSync(parent)

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  for await (const chunk of stream) return new TextDecoder().decode(chunk).trim()
  return ''
}

const WAITS = `const late = setTimeout(() => {}, 60_000)
  await new Promise((_, reject) => signal.addEventListener('abort', () => (clearTimeout(late), reject(signal.reason))))`

test.each<[string, string, NodeJS.Signals | undefined, number]>([
  ['is left', '', undefined, 0],
  ['fails', `throw new TypeError('oops')`, undefined, 1],
  ['exits', 'process.exit(7)', undefined, 7],
  ['is interrupted', WAITS, 'SIGINT', 130],
  ['is ended at once', WAITS, 'SIGQUIT', 131],
])('a folder goes when its process %s', async (_, goesOn, signal, code) => {
  const run = ours(goesOn)
  const path = await firstLine(run.stdout)
  expect(path).toStartWith(join(parent, `deploy-scripts-`))
  if (signal) run.kill(signal)
  expect(await run.exited).toBe(code)
  expect(left()).toEqual([])
})

test('one that a kill -9 left goes with the next run; those of the living, and of others, stay', async () => {
  const killed = ours(WAITS)
  const orphan = await firstLine(killed.stdout)
  expect(statSync(orphan).mode & 0o777).toBe(0o700)
  killed.kill('SIGKILL')
  await killed.exited
  expect(existsSync(join(orphan, 'secret'))).toBe(true)

  const living = ours(WAITS)
  const kept = await firstLine(living.stdout)
  expect(existsSync(orphan)).toBe(false)
  const dead = killed.pid
  const others = [
    `deploy-scripts-other.${hostname()}-${dead}-abc`,
    `deploy-scripts-${dead}`,
    `something-${dead}-abc`,
  ]
  for (const name of others) mkdirSync(join(parent, name))
  expect(await ours('').exited).toBe(0)
  expect(left().toSorted()).toEqual([kept.slice(parent.length + 1), ...others].toSorted())
  living.kill('SIGTERM')
  await living.exited
  expect(left().toSorted()).toEqual(others.toSorted())
})
