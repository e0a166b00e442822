/** scripts/monitoring.ts writes what lib/monitor makes, for the environment that it is asked for. */
import { afterAll, expect, setDefaultTimeout, test } from 'bun:test'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitoringFiles } from '../../lib/monitor/files.ts'
import { temporaryFolder } from '../../lib/temporary.ts'
import { ROOT } from '../tree.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const folder = temporaryFolder()
afterAll(() => folder[Symbol.dispose]())

function monitoring(...args: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, 'scripts/monitoring.ts', ...args], {
    cwd: ROOT,
  })
  return { exitCode, out: stdout.toString(), err: stderr.toString() }
}

test('staging is written where it is wanted, with the namespace of staging', () => {
  const out = join(folder.path, 'new', 'staging')
  const run = monitoring('--env', 'staging', '--out', out, '--json')
  expect(run.exitCode).toBe(0)
  const place = { app: 'chatbot-platform', namespace: 'chatbot-platform-staging' }
  const [, runbooks = ''] = /^runbooks: (.*)$/m.exec(readFileSync(join(ROOT, 'deploy.yaml'), 'utf8')) ?? []
  const files = monitoringFiles(place, runbooks)
  expect(JSON.parse(run.out)).toEqual(Object.keys(files).map((name) => join(out, name)))
  expect(readdirSync(out).toSorted()).toEqual(Object.keys(files).toSorted())
  for (const [name, content] of Object.entries(files))
    expect(readFileSync(join(out, name), 'utf8')).toBe(content)
})

test('without runbooks nothing is written: an alarm must lead somewhere', () => {
  const config = join(folder.path, 'deploy.yaml')
  const environment = {
    context: 'c',
    namespace: 'n',
    manifests: 'm',
    url: 'https://shop.example.com',
    witness: { color: 'color' },
  }
  writeFileSync(config, JSON.stringify({ app: 'shop', image: 'shop', environments: { live: environment } }))
  const out = join(folder.path, 'none')
  const { exitCode, err } = monitoring('--env', 'live', '--config', config, '--out', out)
  expect([exitCode, err]).toEqual([2, expect.stringContaining('live names no runbooks')])
  expect(readdirSync(folder.path)).not.toContain('none')
})
