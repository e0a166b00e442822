/** The README and the guides name what is there: files, scripts and their flags, make's targets, exit codes, settings. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { Exit } from '../../lib/errors.ts'
import { bake as bakeForm } from '../../lib/settings/bake.ts'
import { loadEnvironment } from '../../lib/settings/load.ts'
import { ROOT } from '../tree.ts'
import { FOLLOWED, NOT_HERE, REHEARSED, TYPED } from './commands.ts'
import { anchorsOf, codeIn, commandsIn, linksIn, read, scriptsIn, shellIn, targetsIn } from './markdown.ts'

const guides = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
const pages = ['README.md', ...guides.map((name) => `docs/${name}`), 'sandbox/README.md']

test('there are guides', () => {
  expect(guides).toEqual(
    expect.arrayContaining(['using-it-for-your-app.md', 'incident-response-playbook.md']),
  )
})

describe.each(pages)('%s', (page) => {
  const text = read(page)

  test('links lead somewhere, to a heading that is there', () => {
    const broken = linksIn(text).filter(({ path, anchor }) => {
      const target = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(ROOT, target))) return true
      return anchor !== '' && !anchorsOf(read(target)).includes(anchor)
    })
    expect(broken).toEqual([])
  })

  test('scripts are there, and know the flags that they are given', () => {
    const wrong = scriptsIn(text).flatMap(({ file, flags }) => {
      if (!existsSync(join(ROOT, file))) return [file]
      const source = read(file)
      return flags
        .filter((flag) => !source.includes(flag) && !COMMON.includes(flag))
        .map((flag) => `${file} ${flag}`)
    })
    expect(wrong).toEqual([])
  })

  test('make has the targets', () => {
    const known = [...read('Makefile').matchAll(/^([a-z][\w -]*):/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    )
    expect(targetsIn(text).filter((target) => !known.includes(target))).toEqual([])
  })

  test('settings are there', () => {
    expect(settingsIn(text).filter((path) => !isSetting(path))).toEqual([])
  })
})

const shownIn = (name: string) => ({
  typed: commandsIn(read(`docs/${name}`)),
  shell: shellIn(read(`docs/${name}`)),
})

describe('every command is run by a test, or it is said why not', () => {
  test.each(guides)('%s', (name) => {
    const { typed, shell } = shownIn(name)
    const byNobody = [...TYPED, ...REHEARSED].includes(name)
      ? []
      : typed.filter((command) => !Object.hasOwn(NOT_HERE, command))
    expect(byNobody).toEqual([])
    expect(shell === '' || FOLLOWED.includes(name)).toBe(true)
  })

  test('nothing is excused that no guide has any more', () => {
    const all = guides.flatMap((name) => shownIn(name).typed)
    expect(Object.keys(NOT_HERE).filter((command) => !all.includes(command))).toEqual([])
  })

  test('what looks like a command is marked as one: nothing is in a block of another kind', () => {
    const blocks = guides.flatMap((name) => [
      ...read(`docs/${name}`).matchAll(/^ *```(\w*)\n([^]*?)^ *```$/gm),
    ])
    const unmarked = blocks.filter(([, language = '']) => !['sh', 'console'].includes(language))
    expect(unmarked.filter(([, , code = '']) => /^ *(\$ |bun |kubectl |make )/m.test(code))).toEqual([])
  })
})

/** What `main` takes off before a script sees it. */
const COMMON = ['--help']

test('what is looked for is found', () => {
  const [readme, way] = ['README.md', 'docs/using-it-for-your-app.md'].map(read)
  expect(linksIn(readme ?? '').length).toBeGreaterThan(5)
  expect(scriptsIn(readme ?? '').flatMap(({ flags }) => flags)).toContain('--env')
  expect(scriptsIn(way ?? '').flatMap(({ flags }) => flags)).toEqual(
    expect.arrayContaining(['--version', '--reason']),
  )
  expect(targetsIn(readme ?? '')).toContain('deploy-prod')
  expect(settingsIn(readme ?? '')).toContain('scan.failOn')
  expect([isSetting('timeouts.reach'), isSetting('timeouts.none'), isSetting('requires.maxScanAge')]).toEqual(
    [true, false, true],
  )
})

const node = z.looseObject({
  properties: z.record(z.string(), z.unknown()).default({}),
  anyOf: z.array(z.unknown()).default([]),
  items: z.unknown().optional(),
  additionalProperties: z.unknown().optional(),
})

/** What may stand below a place of the schema: a mapping's keys, of a list those of its items. */
function below(place: unknown, name: string): unknown[] {
  const parsed = node.safeParse(place).data
  if (!parsed) return []
  const { properties, anyOf, items } = parsed
  return [
    properties[name],
    ...anyOf.flatMap((one) => below(one, name)),
    ...(items ? below(items, name) : []),
  ].filter((found) => found !== undefined)
}

const schema: unknown = JSON.parse(read('deploy.schema.json'))
const [environments] = below(schema, 'environments')
const environment = node.parse(environments).additionalProperties
const roots = [schema, environment]

const isSetting = (path: string): boolean =>
  path.split('.').reduce<unknown[]>((places, name) => places.flatMap((place) => below(place, name)), roots)
    .length > 0

/** Dotted names whose first word is a setting: the rest is somebody else's. */
const settingsIn = (text: string): string[] =>
  codeIn(text)
    .filter(
      (code) => /^[a-z]\w*(\.[a-z]\w*)+$/i.test(code) && !/\.(ts|ya?ml|json|md|html|xml|sh|py)$/.test(code),
    )
    .filter((code) => isSetting(code.split('.')[0] ?? ''))

describe('README.md', () => {
  const readme = read('README.md')

  test('is under 200 lines', () => expect(readme.trimEnd().split('\n').length).toBeLessThan(200))

  test('its table has every script', () => {
    const rows = /## Scripts\n([\s\S]*?)\n\nEach has/.exec(readme)?.[1]?.split('\n') ?? []
    const named = rows.flatMap((row) => row.split('|')[1]?.match(/[\w-]+\.ts/g) ?? [])
    const scripts = readdirSync(join(ROOT, 'scripts')).filter((name) => name.endsWith('.ts'))
    expect(named.toSorted()).toEqual(scripts.toSorted())
  })

  test('its exit codes are those of the code', () => {
    const codes = [...readme.matchAll(/^\| (\d+) \| /gm)].map(([, code]) => Number(code))
    expect(codes).toEqual(Object.values(Exit))
  })

  test('it sends to every guide', () => {
    const linked = linksIn(readme).map(({ path }) => path)
    expect(guides.filter((name) => !linked.includes(`docs/${name}`))).toEqual([])
  })
})

test('the exit codes of the playbook are those of the code', () => {
  const rows = read('docs/incident-response-playbook.md').matchAll(/^\| ([\d, ]+) \| /gm)
  const codes = [...rows].flatMap(([, list = '']) => list.split(',').map(Number))
  expect(codes.filter((code) => !Object.values<number>(Exit).includes(code))).toEqual([])
  expect(codes.length).toBeGreaterThan(5)
})

test('live in under ten commands, and what it deploys is what deploy.yaml may say', () => {
  const way = read('docs/using-it-for-your-app.md')
  const until = way.slice(0, way.indexOf('It is live.'))
  const commands = [...(until.match(/^ {4}\S.*$/gm) ?? []), ...shellIn(until).trim().split('\n')]
  // The last is the request that shows it.
  expect(commands.pop()).toStartWith('curl ')
  expect(commands.length).toBe(9)
  const file = join(ROOT, 'examples/hello/deploy.yaml')
  expect(loadEnvironment(file, 'production', { REGISTRY: '127.0.0.1:5000' })).toMatchObject({ app: 'hello' })
})

test('what the guide to the bake shows is what deploy.yaml may say', () => {
  const [, text = ''] = /```yaml\n([^]*?)```/.exec(read('docs/bake.md')) ?? []
  const { bake } = z.object({ bake: bakeForm }).parse(parse(text))
  expect(bake).toMatchObject({ first: 60_000, time: 600_000, maxTime: 1_800_000, every: 15_000 })
  expect(bake).toMatchObject(
    bakeForm.parse({ indicators: bake.indicators, prometheus: bake.prometheus, token: bake.token }),
  )
})
