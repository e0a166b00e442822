import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadEnvironment } from '../../../lib/settings/load.ts'

const folder = mkdtempSync(join(tmpdir(), 'bake-settings-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The settings of a file, or what is wrong with it. */
function load(indicator: string): unknown {
  const file = join(folder, 'deploy.yaml')
  writeFileSync(
    file,
    `app: chat
image: example/chat
witness: { color: color }
bake:
  indicators:
${indicator}
environments:
  test: { context: test, namespace: test, manifests: k8s, url: 'https://chat.example.com' }
`,
  )
  try {
    const { bake } = loadEnvironment(file, 'test', {})
    return bake === false ? bake : bake.indicators
  } catch (error) {
    expect(error).toMatchObject({ exitCode: 2 })
    return String(error)
      .replaceAll(`${folder}/`, '')
      .replace(/^Error: /, '')
      .split('\n')
  }
}

const selector = (name: string, line: number): string[] => [
  `deploy.yaml:${line}: bake.indicators.orders.${name}: expected the selector of a counter in PromQL, such as orders_total{color=~"{{color}}",status="failed"}: no function, no range`,
]

describe('an indicator of the team’s own', () => {
  test.each(['bad', 'good'])('has all, and the %s ones', (part) => {
    const all = 'orders_total{color=~"{{color}}",app="{{app}}",namespace="{{namespace}}"}'
    expect(load(`    orders: { all: '${all}', ${part}: 'x{a="b"}', most: 0.1 }`)).toEqual({
      orders: { all, [part]: 'x{a="b"}', most: 0.1 },
    })
  })

  test.each<[string, string, string[]]>([
    [
      'a query that is broken',
      `    orders:\n      all: 'a{b="c"'\n      bad: 'b'\n      most: 0.1`,
      selector('all', 7),
    ],
    ['a rate', `    orders:\n      all: 'a'\n      bad: 'rate(b[5m])'\n      most: 0.1`, selector('bad', 8)],
    [
      'a regular expression that is none',
      `    orders:\n      all: 'a'\n      good: 'b{c=~"("}'\n      most: 0.1`,
      selector('good', 8),
    ],
    ['nothing', `    orders: { all: '', bad: 'b', most: 0.1 }`, selector('all', 6)],
    [
      'another placeholder',
      `    orders: { all: 'a{c="{{colour}}"}', bad: 'b', most: 0.1 }`,
      [
        'deploy.yaml:6: bake.indicators.orders.all: expected no other placeholder than {{app}}, {{namespace}} and {{color}}',
      ],
    ],
    [
      'both kinds',
      `    orders: { all: 'a', bad: 'b', good: 'c', most: 0.1 }`,
      ['deploy.yaml:6: bake.indicators.orders: expected either "bad" or "good"'],
    ],
    [
      'neither',
      `    orders: { all: 'a', most: 0.1 }`,
      ['deploy.yaml:6: bake.indicators.orders: expected either "bad" or "good"'],
    ],
  ])('%s is told with its line', (_, indicator, problems) => {
    expect(load(indicator)).toEqual(problems)
  })

  test.each(['errors', 'slow', 'databaseErrors', 'probes'])('it is not called %s', (name) => {
    expect(JSON.stringify(load(`    ${name}: { all: 'a', bad: 'b', most: 0.1 }`))).toContain(
      'expected another name than errors,',
    )
  })
})
