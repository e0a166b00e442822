/** The rules of the house that no linter knows: who may import whom, what no file may name, how long a script is. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { loadEnvironment } from '../lib/settings/load.ts'
import { filesOf, ROOT } from './tree.ts'

const root = ROOT

/** What git would track: everything that is not ignored. */
const files = filesOf(root).filter((file) => !file.startsWith('bun.lock'))

/** Its text; Bun's transpiler takes no first line for the shell. */
const read = (file: string): string => readFileSync(join(root, file), 'utf8').replace(/^#!.*/, '')
const exists = new Map(files.map((file) => [file, Bun.file(join(root, file)).size > 0]))
const sources = files.filter((file) => file.endsWith('.ts') && exists.get(file))

interface Import {
  from: string
  /** A file of the repository, or the name of a package. */
  to: string
}

const transpiler = new Bun.Transpiler({ loader: 'ts' })

/** Imports as the runtime sees them, and those of types, which it does not. */
function imports(file: string): Import[] {
  const text = read(file)
  const types = [...text.matchAll(/^(?:import|export) type [^'"]*from '([^']+)'/gm)].map(
    ([, path = '']) => path,
  )
  const inline = [...text.matchAll(/\btype [^'"{}]*\} from '([^']+)'/g)].map(([, path = '']) => path)
  const paths = [...transpiler.scanImports(text).map(({ path }) => path), ...types, ...inline]
  return paths.map((path) => ({
    from: file,
    to: path.startsWith('.') ? normalize(join(dirname(file), path)) : path,
  }))
}

const all = sources.flatMap(imports)

test.skipIf(!existsSync(join(root, '.git')))('the files are the ones that git would track', () => {
  const command = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-per-directory=.gitignore']
  const { stdout } = Bun.spawnSync(command, { cwd: root })
  const tracked = stdout.toString().split('\0').filter(Boolean)
  expect(filesOf(root)).toEqual(tracked.filter((file) => existsSync(join(root, file))).toSorted())
})

const folder = (path: string): string => path.split('/')[0] ?? ''
const rooms = ['scripts', 'verify', 'lib', 'sandbox', 'examples', 'tests', 'bench']

/** The floors of lib, from the ground; the hall's files import nothing but each other. */
const floors = [
  ['hall'],
  ['settings'],
  ['cluster', 'scan', 'stages'],
  ['app', 'cli'],
  ['monitor'],
  ['history', 'image', 'diagnose'],
  ['traffic', 'preflight', 'notify', 'report'],
  ['release'],
]
const room = (file: string): string => (file.split('/').length === 2 ? 'hall' : (file.split('/')[1] ?? ''))
const floorOf = (name: string): number => floors.findIndex((floor) => floor.includes(name))
const inLib = all.filter(({ from, to }) => folder(from) === 'lib' && folder(to) === 'lib')

describe('imports run one way', () => {
  test('there are imports to look at', () => {
    expect(all.some(({ from, to }) => from === 'scripts/deploy.ts' && to === 'lib/cli/cli.ts')).toBe(true)
    expect(
      all.some(({ from, to }) => from === 'lib/release/under-lock.ts' && to === 'lib/history/lock.ts'),
    ).toBe(true)
  })

  test.each([
    ['lib', ['lib']],
    ['verify', ['verify', 'lib']],
    ['scripts', ['scripts', 'verify', 'lib']],
    ['sandbox', ['sandbox']],
  ])('%s imports from %j alone', (room, allowed) => {
    const wrong = all.filter(
      ({ from, to }) => folder(from) === room && rooms.includes(folder(to)) && !allowed.includes(folder(to)),
    )
    expect(wrong).toEqual([])
  })

  test('each example stands alone; a rehearsal of it may start the sandbox', () => {
    const wrong = all.filter(
      ({ from, to }) =>
        folder(from) === 'examples' &&
        rooms.includes(folder(to)) &&
        folder(to) !== 'examples' &&
        !(from.startsWith('examples/rehearsal/') && folder(to) === 'sandbox'),
    )
    expect(wrong).toEqual([])
  })

  test('and inside lib they run down: a room imports from below its floor, or beside it in the same folder', () => {
    const wrong = inLib.filter(({ from, to }) => {
      const [here, there] = [room(from), room(to)]
      return here !== there && floorOf(there) >= floorOf(here)
    })
    expect(wrong).toEqual([])
  })

  test('each room of lib stands on a floor', () => {
    const known = new Set(sources.filter((file) => folder(file) === 'lib').map(room))
    expect([...known].toSorted()).toEqual(floors.flat().toSorted())
  })

  test('no two files of lib import each other in a circle, types included', () => {
    const targets = Map.groupBy(inLib, ({ from }) => from)
    const reaches = (from: string, seen: Set<string>): Set<string> => {
      for (const { to } of targets.get(from) ?? []) if (!seen.has(to)) reaches(to, seen.add(to))
      return seen
    }
    const circular = [...targets.keys()].filter((file) => reaches(file, new Set()).has(file))
    expect(circular).toEqual([])
  })

  test('every file that is imported is there', () => {
    const missing = all.filter(
      ({ to }) => rooms.includes(folder(to)) && to.endsWith('.ts') && !exists.has(to),
    )
    expect(missing).toEqual([])
  })
})

test('undici is imported where it is itself: under Bun the bare name is a stub', () => {
  expect(all.filter(({ to }) => to === 'undici')).toEqual([])
})

test('no file names a package registry', () => {
  const hosts = ['npmjs', 'yarnpkg', 'jsr', 'pypi'].map((name) => `${name}\\.(org|com|io)`).join('|')
  const registry = new RegExp(`registry\\.(${hosts})|deb\\.debian\\.org|proxy\\.golang\\.org`)
  const texts = files.filter((file) => exists.get(file) && file !== 'tests/house.test.ts')
  expect(texts.filter((file) => registry.test(read(file)))).toEqual([])
})

test('no file holds a private key', () => {
  const marks = ['-----BEGIN', 'PRIVATE KEY-----']
  const holding = files.filter((file) => exists.get(file) && marks.every((mark) => read(file).includes(mark)))
  expect(holding.filter((file) => file !== 'tests/house.test.ts')).toEqual([])
})

test('scripts are short: a wish, which is told and not enforced up to half as much again', () => {
  const lengths = sources
    .filter((file) => folder(file) === 'scripts')
    .map((file) => [file, read(file).split('\n').length] as const)
  for (const [file, length] of lengths.filter(([, length]) => length > 80))
    console.warn(`${file} has ${length} lines`)
  expect(lengths.filter(([, length]) => length > 120)).toEqual([])
})

/** Whether a file is one of a group, or in a folder of it. */
const of =
  (group: readonly string[]) =>
  (file: string): boolean =>
    group.some((place) => file === place || file.startsWith(`${place}/`))

describe('what make test runs', () => {
  const print = `groups:;@printf '%s\\n' '$(QUICK)' '$(SLOW)' '$(ALONE)'`
  const { stdout } = Bun.spawnSync(['make', '--silent', `--eval=${print}`, 'groups'], { cwd: root })
  const groups = stdout.toString().trimEnd().split('\n')
  const [quick = [], slow = [], alone = []] = groups.map((group) => group.split(' '))
  const testFiles = files.filter((file) => file.endsWith('.test.ts'))

  test('every test file is in exactly one group: quick, slow, or alone, which takes it out of the others', () => {
    expect(testFiles.length).toBeGreaterThan(100)
    const counts = testFiles.map((file) => {
      const places = [quick, slow].filter((group) => of(group)(file)).length
      return [file, of(alone)(file) ? 1 : places] as const
    })
    expect(counts.filter(([, count]) => count !== 1)).toEqual([])
  })

  test('every place that a group names is there', () => {
    const missing = [quick, slow, alone]
      .flat()
      .filter((place) => !testFiles.some((file) => of([place])(file)))
    expect(missing).toEqual([])
  })

  test('nothing quick starts a cluster or a browser', () => {
    const slowOnes =
      /(rehearsal\/(rehearsal|cluster)|sandbox\/sandbox|verify\/(ui|page-quality)|e2e\/suite)\.ts$/
    const wrong = all.filter(
      ({ from, to }) => of(quick)(from) && from.endsWith('.test.ts') && slowOnes.test(to),
    )
    expect(wrong).toEqual([])
  })
})

test.each(['development', 'staging', 'production'])('deploy.yaml says all there is to say of %s', (name) => {
  const environment = loadEnvironment(join(root, 'deploy.yaml'), name, {})
  expect(environment).toMatchObject({ name, app: 'chatbot-platform', context: name })
  expect(environment.smoke.length).toBeGreaterThan(0)
  expect(exists.has(`k8s/overlays/${name}/kustomization.yaml`)).toBe(true)
  expect(environment.manifests).toBe(join(root, 'k8s/overlays', name))
})

test('no two environments share a place', () => {
  const places = ['development', 'staging', 'production'].map((name) => {
    const { context, namespace, url } = loadEnvironment(join(root, 'deploy.yaml'), name, {})
    return [`${context}/${namespace}`, url]
  })
  expect(new Set(places.flat()).size).toBe(6)
})
