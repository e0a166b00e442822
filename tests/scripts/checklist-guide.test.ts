/** docs/production-deployment-checklist.md says what is there: its commands are run, its settings are read, its boxes are all. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { loadEnvironment } from '../../lib/settings/load.ts'
import { boxIds } from '../../lib/settings/preflight.ts'
import { digest } from '../lib/objects.ts'
import { lastSwitch, running } from '../lib/world.ts'
import { rehearseScripts } from './kubectl.ts'

// The machine may be busy with other things.
setDefaultTimeout(120_000)

const root = join(import.meta.dir, '../..')
const guide = readFileSync(join(root, 'docs/production-deployment-checklist.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'guide-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

const blocks = (language: string): string[] =>
  [...guide.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].flatMap(([, name, text = '']) =>
    name === language ? [text] : [],
  )

/** `a "b c" d="e f"` → a, b c, d=e f */
const words = (line: string): string[] =>
  [...line.matchAll(/(?:"[^"]*"|\S)+/g)].map(([word]) => word.replaceAll('"', ''))

const commands = blocks('console').flatMap((text) => text.trim().split('\n'))

const place = (name: string) => ({
  context: 'test',
  namespace: `chat-${name}`,
  manifests: join(root, 'tests/lib/manifests'),
  url: 'http://127.0.0.1:1',
})

/** A deploy.yaml with both environments, of which production has these settings. */
function configured(production: object, image = 'ghcr.io/example/chat'): string {
  const file = join(folder, `${crypto.randomUUID()}.yaml`)
  const witness = { path: '/version', color: 'color' }
  const environments = { staging: place('staging'), production: { ...place('production'), ...production } }
  writeFileSync(file, stringify({ app: 'chat', image, witness, environments }))
  return file
}

/** What each ends with where 1.0.0 and 1.1.0 are there, nothing is proven, and the checklist is asked for. */
const ends: Record<string, { code: number; err: RegExp }> = {
  'scripts/preflight.ts --env production --version 1.4.2': {
    code: 6,
    err: /\? docs .*[^]*\d+ boxes are not ticked before production/,
  },
  'scripts/deploy.ts --env production': {
    code: 6,
    err: /acked {4}docs: nothing that users see[^]*\n {2}drill: /,
  },
  'scripts/deployment-history.ts --env production': { code: 0, err: /./ },
  'scripts/rollback-drill.ts --env staging --dry-run': {
    code: 0,
    err: /there {4}blue[^]*Nothing was changed/,
  },
}

const run = commands.filter((line) => line.startsWith('$ bun '))

test('every command of a script is one of these', () => {
  expect(run.length).toBe(Object.keys(ends).length)
})

test.each(run)('%s', async (line) => {
  const known = Object.entries(ends).find(([start]) => line.startsWith(`$ bun ${start}`))
  await using rehearsed = rehearseScripts(digest('c'))
  running(rehearsed.cluster, { blue: '1.0.0', green: '1.1.0' }, 'green')
  lastSwitch(rehearsed.cluster)
  const config = configured({ preflight: {} }, `${rehearsed.registry}/chat`)
  const [, , script = '', ...args] = words(line)
  const { err, code } = await rehearsed.run(script.replace('scripts/', ''), '--config', config, ...args)
  expect(err).toMatch(known?.[1].err ?? /unknown/)
  expect(code).toBe(known?.[1].code ?? -1)
  expect(err.split('\n').filter((each) => each.includes('This is a bug'))).toEqual([])
  expect(rehearsed.cluster.writes).toEqual([])
})

test.each(commands.filter((line) => !line.startsWith('$ bun ')))('%s', (line) => {
  const [, program, ...args] = words(line)
  expect(program).toBe('make')
  const { exitCode, stderr } = Bun.spawnSync(['make', '-n', '-o', 'install', ...args], { cwd: root })
  expect([stderr.toString(), exitCode]).toEqual(['', 0])
})

describe('settings', () => {
  test.each(blocks('yaml'))('%s', (text) => {
    const { environments, ...rest } = parse(text) as { environments?: { production: object } }
    const file = configured(environments?.production ?? rest)
    expect(loadEnvironment(file, 'production', {})).toMatchObject({ name: 'production' })
  })
})

test('every box has a row, in the order in which they are shown', () => {
  const rows = [...guide.matchAll(/^\| `(\w+)` \|/gm)].map(([, id]) => id)
  expect(rows).toEqual([...boxIds])
})

test('every environment of deploy.yaml that is not production is asked nothing', () => {
  const asked = ['development', 'staging', 'production'].filter(
    (name) => loadEnvironment(join(root, 'deploy.yaml'), name, {}).preflight,
  )
  expect(asked).toEqual(['production'])
})
