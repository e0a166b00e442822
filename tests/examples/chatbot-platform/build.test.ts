import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readMigrations } from '../../../examples/chatbot-platform/src/migrations.ts'
import { run, SOURCES, startPod } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'build-'))
const OUT = join(folder, 'dist')

beforeAll(() => {
  const built = Bun.spawnSync([process.execPath, 'run', 'build'], {
    cwd: join(SOURCES, '..'),
    env: { ...process.env, OUT },
  })
  if (built.exitCode !== 0) throw new Error(String(built.stderr))
})
afterAll(() => rmSync(folder, { recursive: true }))

test('what goes into the image runs: the migration, then the server with its page', async () => {
  const env = { DATABASE_URL: `sqlite:${folder}/chat.db` }
  const job = await run(join(OUT, 'migrate.js'), env)
  expect([job.exitCode, job.output]).toEqual([0, job.output])
  for (const { name } of readMigrations()) expect(job.output).toContain(`"migration":"${name}"`)

  const pod = await startPod(
    { ...env, MIGRATE_ON_START: 'false', DRAIN_SECONDS: '0' },
    join(OUT, 'server.js'),
  )
  for (const path of ['/', '/app.js', '/app.css', '/favicon.svg', '/robots.txt', '/version']) {
    expect([path, (await fetch(pod.url + path)).status]).toEqual([path, 200])
  }
  pod.child.kill('SIGTERM')
  expect(await pod.ended).toBe(0)
})
