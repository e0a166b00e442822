import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { loadEnvironment } from '../../../lib/settings/load.ts'
import type { Environment } from '../../../lib/settings/file.ts'

const folder = mkdtempSync(join(tmpdir(), 'config-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

const minimal = {
  app: 'chat',
  image: 'ghcr.io/example/chat',
  environments: {
    test: { context: 'test', namespace: 'chat-test', manifests: 'k8s/test', url: 'https://chat.example.com' },
  },
}
const { test: declared } = minimal.environments

const file = join(folder, 'deploy.yaml')

/** With what an environment cannot do without, behind all else: each line stays where it is. */
function text(all: { witness?: object }): string {
  const { witness = {} } = all
  return stringify({ ...all, witness: 'color' in witness ? witness : { ...witness, color: 'c' } })
}

function load(content: unknown, variables = {}, name: string | undefined = 'test'): Environment {
  writeFileSync(file, typeof content === 'object' && content ? text(content) : String(content))
  return loadEnvironment(file, name, variables)
}

/** Every problem, without the folder. */
function problems(content: unknown, variables = {}, name?: string): string[] {
  try {
    load(content, variables, name)
  } catch (error) {
    expect(error).toMatchObject({ exitCode: 2 })
    return (error as Error).message.replaceAll(`${folder}/`, '').split('\n')
  }
  return []
}

const withIn = (more: object) => ({ ...minimal, environments: { test: { ...declared, ...more } } })

test('the archive is a folder beside deploy.yaml, unless it is somewhere', () => {
  expect(load({ ...minimal, archive: 'kept' }).archive).toBe(join(folder, 'kept'))
  expect(load(withIn({ archive: '/var/kept' })).archive).toBe('/var/kept')
  expect(load(minimal).archive).toBeUndefined()
})

describe('what is decided', () => {
  test('every setting has a value', () => {
    expect(load(minimal)).toMatchObject({
      name: 'test',
      app: 'chat',
      image: 'ghcr.io/example/chat',
      manifests: join(folder, 'k8s/test'),
      strategy: 'blue-green',
      switch: 'direct',
      smoke: [],
      witness: { path: '/', rate: 40, connections: 10, allowedFailures: 0, timeout: 5000 },
      drain: 10_000,
      afterSwitch: 'recycle',
      timeouts: {
        rollout: 600_000,
        ready: 60_000,
        schedule: 300_000,
        endpoints: 30_000,
        reach: 60_000,
        migration: 600_000,
      },
      lock: 15_000,
      history: 50,
    })
  })

  test('a kind of checks is there when it is declared, with its defaults, and not where it is false', () => {
    const general = { ui: {}, performance: { rate: 20, endpoints: [{ path: '/a' }] } }
    expect(load({ ...minimal, ...general })).toMatchObject({
      ui: { specs: join(folder, 'verify/ui') },
      performance: { rate: 20, duration: 20_000, endpoints: [{ path: '/a', method: 'GET', weight: 1 }] },
    })
    const own = load({ ...withIn({ ui: false, performance: { rate: 5 } }), ...general })
    expect(own.ui).toBe(false)
    expect(own.performance).toMatchObject({ rate: 5, endpoints: [{ path: '/a' }] })
    const { ui, performance, security, pageQuality } = load(minimal)
    expect([ui, performance, security, pageQuality]).toEqual([undefined, undefined, undefined, undefined])
  })

  test('a single check can be left out, by its id, for a reason and for a time', () => {
    const skip = { reason: 'the proxy answers 503', expires: '2027-01-31' }
    const one = { name: 'a', path: '/', expect: {}, skip }
    const environment = load({
      ...minimal,
      smoke: [one],
      security: { skip: [{ id: 'host-header', ...skip }] },
    })
    expect(environment.smoke[0]?.skip).toEqual(skip)
    expect(environment.security).toMatchObject({ skip: [{ id: 'host-header', ...skip }] })
  })

  test.each([
    [{ id: 'host-heder' }, 'id: expected the id of a check, as docs/security-checks.md names them'],
    [{ reason: '' }, 'reason: Too small: expected string to have >=1 characters'],
    [{ expires: '31.1.2027' }, 'expires: expected a date such as 2027-01-31'],
    [{ path: '/' }, 'path: unknown setting'],
  ])('a skip with %j is wrong usage', (wrong, message) => {
    const skip = { id: 'host-header', reason: 'known', expires: '2027-01-31', ...wrong }
    expect(problems({ ...minimal, security: { skip: [skip] } })).toEqual([
      expect.stringMatching(new RegExp(`^deploy.yaml:\\d+: security\\.skip\\.0\\.${message}$`)),
    ])
  })

  test('what stands in the environment goes over what stands above, and that over the defaults', () => {
    const general = {
      witness: { rate: 10, path: '/a' },
      drain: '1s',
      smoke: [{ name: 'general', path: '/', expect: {} }],
    }
    const own = { witness: { rate: 20 }, smoke: [{ name: 'own', path: '/b', expect: { within: '250ms' } }] }
    const environment = load({ ...withIn(own), ...general })
    expect(environment.witness).toMatchObject({ rate: 20, path: '/a', connections: 10 })
    expect(environment.drain).toBe(1000)
    expect(environment.smoke).toMatchObject([
      { name: 'own', method: 'GET', expect: { status: 200, within: 250 } },
    ])
  })

  test.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    ['0s', 0],
  ])('%s', (text, ms) => expect(load({ ...minimal, drain: text }).drain).toBe(ms))

  test('${NAME} is an environment variable, anywhere in a string', () => {
    const environment = load(withIn({ url: 'https://${HOST}:${PORT}' }), { HOST: 'h', PORT: '1' })
    expect(environment.url).toBe('https://h:1')
    expect(load(withIn({ context: '$HOME ${A}' }), { A: '${B}', B: 'no' }).context).toBe('$HOME ${B}')
  })

  test('the environment that must have been passed is known by its place', () => {
    const requires = { stages: ['test'], maxScanAge: '24h', passed: 'staging' }
    const environments = {
      staging: { ...declared, context: 's', namespace: 'n' },
      test: { ...declared, requires },
    }
    expect(load({ ...minimal, environments }).requires).toEqual({
      failOn: 'high',
      stages: ['test'],
      maxScanAge: 86_400_000,
      passed: { name: 'staging', context: 's', namespace: 'n' },
    })
    expect(load({ ...minimal, environments }, {}, 'staging').requires).toBeUndefined()
    expect(load(withIn({ requires: {} })).requires).toEqual({ failOn: 'high', stages: [] })
    expect(load({ ...withIn({ requires: {} }), scan: { failOn: 'low' } }).requires?.failOn).toBe('low')
  })

  test('lists are replaced and not merged', () => {
    const smoke = [{ name: 'a', path: '/', expect: {} }]
    expect(load({ ...withIn({ smoke: [] }), smoke }).smoke).toEqual([])
  })
})

describe('what is wrong with all of it together', () => {
  const smoke = [{ name: 'a', path: '/', expect: {} }]
  const unwitnessed = { ...minimal, witness: { color: undefined } }
  const NOTHING = 'test: smoke: nothing judges what users are on: declare one smoke check at least'

  test('an environment in which nothing judges what users are on is refused', () => {
    const named = ', or "witness.color", where the application names its color'
    expect(problems(unwitnessed)).toEqual([`deploy.yaml:5: ${NOTHING}${named}`])
    expect(problems({ ...unwitnessed, security: {}, performance: {} })).toEqual([
      expect.stringContaining(NOTHING),
    ])
    expect(problems({ ...unwitnessed, smoke })).toEqual([])
    expect(problems(minimal)).toEqual([])
    // A rolling deployment has no colors.
    expect(problems(withIn({ strategy: 'rolling' }))).toEqual([
      expect.stringMatching(/smoke check at least$/),
    ])
  })

  test('a switch in steps is refused where answers do not say whose they are', () => {
    const told =
      'gradual needs "witness.color": while both colors serve, it must be known which of them answers'
    const gradual = { ...unwitnessed, smoke, switch: 'gradual' }
    expect(problems(gradual)).toEqual([`deploy.yaml:14: test: switch: ${told}`])
    expect(problems({ ...gradual, strategy: 'rolling' })).toEqual([])
    expect(problems({ ...gradual, witness: { color: 'color' } })).toEqual([])
  })

  test('a bake that no record could hold is refused, and told how often it may look', () => {
    const long = { ...unwitnessed, smoke, bake: { maxTime: '6h', every: '5s' } }
    expect(problems(long)).toEqual([
      expect.stringMatching(
        /^deploy\.yaml:\d+: test: bake: 361 m 0 s with a reading each 5 s .* every: 55s at least$/,
      ),
    ])
    expect(problems({ ...long, bake: { maxTime: '6h', every: '1m' } })).toEqual([])
    expect(problems({ ...long, bake: false })).toEqual([])
  })

  test('a deadline that the checks cannot keep is refused, where it is set', () => {
    const problem =
      'expected at least 2 m 33 s, since the checks follow one another: performance 33 s, ui.timeout 2 m 0 s'
    expect(problems({ ...minimal, verification: '2m', ui: {}, performance: { duration: '25s' } })).toEqual([
      `deploy.yaml:9: test: verification: ${problem}`,
    ])
    expect(problems({ ...minimal, ui: {}, pageQuality: {}, performance: {} })).toEqual([])
    expect(problems(withIn({ verification: '2m', ui: {} }))).toEqual([])
  })

  test('an address with a password in it is refused', () => {
    const asked = problems(withIn({ previewUrl: 'https://ops:${PASSWORD}@idle.example.com' }), {
      PASSWORD: 'geheim',
    })
    expect(asked).toHaveLength(1)
    expect(asked[0]).toMatch(
      /^deploy.yaml:\d+: environments.test.previewUrl: expected an address without a user or/,
    )
    expect(asked[0]).not.toContain('geheim')
  })

  test('a score that is not written is asked all the same', () => {
    expect(
      load({ ...minimal, pageQuality: { scores: { performance: 0.5, seo: false } } }).pageQuality,
    ).toMatchObject({
      scores: { performance: 0.5, accessibility: 0.9, 'best-practices': 0.9, seo: false },
    })
  })
})

describe('each mistake is named with its place', () => {
  test.each<[string, unknown, unknown[]]>([
    ['an unknown setting', { ...minimal, dran: '1s' }, ['deploy.yaml:9: dran: unknown setting']],
    [
      'two unknown settings',
      withIn({ witnes: {}, dran: '1s' }),
      [
        'deploy.yaml:9: environments.test.witnes: unknown setting',
        'deploy.yaml:10: environments.test.dran: unknown setting',
      ],
    ],
    [
      'a duration without a unit',
      { ...minimal, drain: '10' },
      ['deploy.yaml:9: drain: expected a duration such as 500ms, 10s, 2m or 1h'],
    ],
    [
      'a lock that would have to be renewed all the time',
      { ...minimal, lock: '4.9s' },
      ['deploy.yaml:9: lock: expected at least 5s: a lock is renewed three times in it'],
    ],
    [
      'a lock of an environment that does not last',
      withIn({ lock: '0s' }),
      ['deploy.yaml:9: environments.test.lock: expected at least 5s: a lock is renewed three times in it'],
    ],
    [
      'a number for a duration',
      { ...minimal, drain: 10 },
      ['deploy.yaml:9: drain: Invalid input: expected string, received number'],
    ],
    [
      'a negative duration',
      { ...minimal, drain: '-1s' },
      ['deploy.yaml:9: drain: expected a duration such as 500ms, 10s, 2m or 1h'],
    ],
    [
      'an address without a scheme',
      withIn({ url: 'chat.example.com' }),
      ['deploy.yaml:8: environments.test.url: expected an http:// or https:// address'],
    ],
    [
      'another scheme',
      withIn({ url: 'ftp://a' }),
      ['deploy.yaml:8: environments.test.url: expected an http:// or https:// address'],
    ],
    [
      'a namespace that is none',
      withIn({ namespace: 'Chat_Test' }),
      ['deploy.yaml:6: environments.test.namespace: expected a DNS label: a-z, 0-9 and -'],
    ],
    [
      'a namespace like a flag',
      withIn({ namespace: '--all' }),
      ['deploy.yaml:6: environments.test.namespace: expected a DNS label: a-z, 0-9 and -'],
    ],
    [
      'an image with a tag',
      { ...minimal, image: 'ghcr.io/example/chat:1' },
      ['deploy.yaml:2: image: expected an image name without tag and digest'],
    ],
    [
      'an image with a digest',
      { ...minimal, image: 'chat@sha256:ab' },
      ['deploy.yaml:2: image: expected an image name without tag and digest'],
    ],
    ...['test', 'stagin', 'constructor'].map((passed): [string, unknown, unknown[]] => [
      `${passed}, which cannot have been passed before`,
      withIn({ requires: { passed } }),
      ['deploy.yaml:10: environments.test.requires.passed: expected another environment of this file'],
    ]),
    [
      'a stage that there is none of',
      withIn({ requires: { stages: ['scan'] } }),
      [expect.stringMatching(/^deploy\.yaml:\d+: environments\.test\.requires\.stages\.0: Invalid option/)],
    ],
    [
      'what is required of all at once',
      { ...minimal, requires: { stages: ['test'] } },
      ['deploy.yaml:10: requires: unknown setting'],
    ],
    [
      'an unknown strategy',
      { ...minimal, strategy: 'canary' },
      ['deploy.yaml:9: strategy: Invalid option: expected one of "blue-green"|"rolling"'],
    ],
    [
      'a path that is none',
      { ...minimal, witness: { path: 'health' } },
      ['deploy.yaml:10: witness.path: expected a path that starts with /'],
    ],
    [
      'a rate of none',
      { ...minimal, witness: { rate: 0 } },
      ['deploy.yaml:10: witness.rate: Too small: expected number to be >0'],
    ],
    [
      'a history of one',
      { ...minimal, history: 1 },
      ['deploy.yaml:9: history: Too small: expected number to be >=2'],
    ],
    [
      'in a list',
      {
        ...minimal,
        smoke: [
          { name: 'a', path: '/', expect: {} },
          { name: 'b', path: '/', expect: { status: 99 } },
        ],
      },
      ['deploy.yaml:16: smoke.1.expect.status: Too small: expected number to be >=100'],
    ],
    [
      'inside a kind of checks',
      {
        ...minimal,
        performance: {
          rate: 0,
          endpoints: [{ path: 'x' }],
          thresholds: { http_req_duration: ['p(101)<1', 'p99<5'] },
        },
        security: { failOn: 'severe', waiver: [] },
        ui: true,
        accounts: { user: { name: 'a', password: 'hunter 2' } },
      },
      [
        'deploy.yaml:24: accounts.user.password: expected the name of an environment variable, not its value',
        'deploy.yaml:20: ui: Invalid input: expected false, or Invalid input: expected object, received boolean',
        'deploy.yaml:10: performance.rate: Too small: expected number to be >0',
        'deploy.yaml:12: performance.endpoints.0.path: expected a path that starts with /',
        'deploy.yaml:15: performance.thresholds.http_req_duration.0: a percentile is at most 100',
        'deploy.yaml:16: performance.thresholds.http_req_duration.1: expected a threshold such as p(99)<500, avg<100 or max<=2000',
        'deploy.yaml:18: security.failOn: Invalid option: expected one of "low"|"medium"|"high"|"critical"',
        'deploy.yaml:19: security.waiver: unknown setting',
      ],
    ],
    [
      'what is missing',
      { ...minimal, app: undefined },
      ['deploy.yaml:1: app: Invalid input: expected string, received undefined'],
    ],
    [
      'no environment',
      { ...minimal, environments: {} },
      ['deploy.yaml:3: environments: expected at least one environment'],
    ],
    ['an empty file', '', ['deploy.yaml:1: the file: Invalid input: expected object, received null']],
    ['a list', '- a\n', ['deploy.yaml:1: the file: Invalid input: expected object, received array']],
    [
      'a variable that is not set',
      withIn({ context: '${NOWHERE}' }),
      [
        'deploy.yaml:5: environments.test.context: the environment variable NOWHERE is not set',
        'deploy.yaml:5: environments.test.context: Too small: expected string to have >=1 characters',
      ],
    ],
    ['a key twice', 'app: a\napp: b\n', ['deploy.yaml:2: Map keys must be unique']],
    [
      'no YAML',
      'app: [a\nb: c\n',
      ['deploy.yaml:2: Flow sequence in block collection must be sufficiently indented and end with a ]'],
    ],
    ['an alias of nothing', 'app: *nothing\n', [expect.stringMatching(/^deploy\.yaml:1: .*nothing/)]],
    ['a bomb of aliases', bomb(), [expect.stringMatching(/^deploy\.yaml:1: .*alias/i)]],
  ])('%s', (_, content, expected) => expect<unknown[]>(problems(content)).toEqual(expected))

  test('a file that is not there', () => {
    expect(() => loadEnvironment(join(folder, 'none.yaml'), 'test', {})).toThrow(
      /none\.yaml cannot be read \(ENOENT.*--config FILE/,
    )
  })

  test.each([
    [undefined, '--env is required: test'],
    ['prod', 'deploy.yaml has no environment "prod": it has test'],
    ['toString', 'deploy.yaml has no environment "toString": it has test'],
  ])('--env %s', (name, expected) => {
    writeFileSync(file, stringify(minimal))
    expect(() => loadEnvironment(file, name, {})).toThrow(expected)
  })
})

function bomb(): string {
  const levels = Array.from(
    { length: 9 },
    (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`,
  )
  return ['l0: &l0 x', ...levels].join('\n')
}
