import { describe, expect, test } from 'bun:test'
import type { DeploymentRecord } from '../../../lib/history/record.ts'
import type { Report } from '../../../lib/report/gather.ts'
import { reportMarkdown } from '../../../lib/report/markdown.ts'
import { reportPage } from '../../../lib/report/page.ts'
import { tell } from '../../../lib/report/told.ts'
import { hostile } from '../hostile.ts'
import { everyKind, report } from './reports.ts'

/** Every word of a value that may be a stranger's is replaced; words of ours, which are chosen from few, stay. */
function poisoned<T>(value: T, with_: string): T {
  const ours =
    /^(at|startedAt|finishedAt|committedAt|until|madeAt|id|data|revision|outcome|kind|verdict|strategy|color|known|environment)$/
  const inside = (one: unknown, key = ''): unknown => {
    if (typeof one === 'string') return ours.test(key) ? one : with_
    if (Array.isArray(one)) return one.map((item) => inside(item, key))
    if (typeof one !== 'object' || one === null) return one
    return Object.fromEntries(Object.entries(one).map(([name, item]) => [name, inside(item, name)]))
  }
  return inside(value) as T
}

const attacks = [
  ...hostile,
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</style><script>fetch("//evil")</script>',
  '<svg><animate onbegin=alert(1)>',
  'javascript:alert(1)',
  '../../etc/passwd',
  '--><!--',
  '{{constructor}}',
]

/** What a browser would take for markup, by a parser that is none of ours. */
async function elementsOf(page: string) {
  const found = { names: new Map<string, number>(), handlers: [] as string[], links: [] as string[] }
  await new HTMLRewriter()
    .on('*', {
      element(element) {
        found.names.set(element.tagName, (found.names.get(element.tagName) ?? 0) + 1)
        for (const [name = '', value = ''] of element.attributes) {
          if (name.startsWith('on') || /expression|url\(/i.test(name === 'style' ? value : ''))
            found.handlers.push(name)
          if (name === 'href' || name === 'src' || name === 'xlink:href') found.links.push(value)
        }
      },
    })
    .transform(new Response(page))
    .text()
  return found
}

describe('hostile words are inert', () => {
  const checks: DeploymentRecord['checks'] = [
    { gate: 'ui', name: 'a', verdict: 'failed', ms: 1, expected: 'b', seen: 'c', evidence: ['d/e'] },
  ]
  const full = report({
    outcome: 'failed',
    checks,
    message: 'm',
    because: 'x',
    drift: 'd',
    allowedFailedDigest: 'y',
  })
  const usual = elementsOf(reportPage(full))

  test.each(attacks.map((text) => [text.slice(0, 50), text]))('%j', async (_, text) => {
    const evil: Report = poisoned(full, text)
    const page = reportPage({ ...evil, told: tell(evil.record) })
    const found = await elementsOf(page)
    expect(found.handlers).toEqual([])
    expect(found.names.has('script')).toBe(false)
    // Names that are the same fall together; nothing is ever added.
    const before = (await usual).names
    for (const [name, count] of found.names) expect(count).toBeLessThanOrEqual(before.get(name) ?? 0)
    expect(
      found.links.filter((link) => !/^(\.\/|data:(image\/png;base64)?,|report\.(md|json)$)/.test(link)),
    ).toEqual([])
    expect(page.length).toBeLessThan(300_000)
  })

  test.each(attacks.map((text) => [text.slice(0, 50), text]))('and in Markdown: %j', (_, text) => {
    const evil: Report = poisoned(full, text)
    const markdown = reportMarkdown({ ...evil, told: tell(evil.record) })
    // Outside of code spans there are no words but ours.
    const outside = markdown.replaceAll(/\\./g, '').replaceAll(/`[^`\n]*`/g, '')
    expect(outside).not.toMatch(/[<>[\]()@]|:\/\/|www\./)
    expect(markdown).not.toMatch(/^::/m)
    expect(markdown.replaceAll('\n', '')).not.toMatch(/\p{Cc}|\p{Cf}/u)
    for (const line of markdown.split('\n').filter((line) => line.startsWith('|')))
      expect(line.match(/\|/g)?.length).toBeLessThanOrEqual(8)
    expect(markdown.length).toBeLessThan(100_000)
  })
})

describe.each(Object.entries(everyKind))('%s', (_, one) => {
  const page = reportPage(one)

  test('says what became of it, stands alone, and has no word that is none', async () => {
    expect(page).toContain(Bun.escapeHTML(one.told.headline))
    expect(page).not.toMatch(/undefined|NaN|Infinity|\[object/)
    const { links, names } = await elementsOf(page)
    expect(links.filter((link) => /^(https?:)?\/\//.test(link))).toEqual([])
    expect([names.get('h1'), names.get('main'), names.get('script')]).toEqual([1, 1, undefined])
  })

  test('has what is in the record: each step, each check, each switch', () => {
    const { steps, checks, switches } = one.record
    for (const { name } of steps) expect(page).toContain(Bun.escapeHTML(name))
    for (const { name, seen } of checks)
      for (const text of [name, seen]) expect(page).toContain(Bun.escapeHTML(text))
    expect(page.match(/First answer of the new/g)?.length ?? 0).toBe(switches.length)
    const markdown = reportMarkdown(one)
    for (const { name } of steps) expect(markdown).toContain(name)
    expect(markdown).not.toMatch(/undefined|NaN|\[object/)
  })
})

test('of several switches each says which it was', () => {
  const [proof] = report().record.switches
  if (!proof) throw new Error('there is one')
  const shared = { ...proof, share: 0.25 }
  const page = reportPage(report({ outcome: 'rolled-back', switches: [shared, proof, proof] }))
  const titles = [...page.matchAll(/<h2>(What users met[^<]*)/g)].map(([, title]) => title)
  expect(titles).toEqual([
    'What users met with 25 % of pods new',
    'What users met: the switch',
    'What users met on the way back',
  ])
})

describe('what did not pass stands open, before what did', () => {
  test('and only that', () => {
    const page = reportPage(everyKind['checks-failed'] ?? report())
    expect(page.match(/<details open/g)).toHaveLength(2)
    expect(page.match(/<details>/g)).toHaveLength(2)
  })

  test('its files can be opened from a page beside them, and from no other', () => {
    const failed = everyKind['checks-failed'] ?? report()
    const href = 'href="./preview/ui/report/index.html"'
    expect(reportPage(failed)).toContain(href)
    const elsewhere = { ...failed, evidence: { ...failed.evidence, here: false } }
    expect(reportPage(elsewhere)).not.toContain(href)
  })
})

const odd = (about: object): string => reportPage({ ...report(), ...about })

describe('pictures of what is not as it should be', () => {
  const { bake } = report().extras

  test('a bake whose figures are none', () => {
    const readings = [
      { at: 'never', counts: {}, odds: { x: 1 } },
      { at: '2026-08-01T08:00:00.000Z', counts: {}, odds: { x: Infinity, y: Number.NaN, z: 0, w: -1 } },
    ]
    const page = odd({
      extras: {
        bake: { ...bake, readings, startedAt: '2026-08-01T08:00:00.000Z' },
        notifications: [],
        acknowledged: [],
      },
    })
    expect(page).not.toMatch(/NaN|undefined/)
  })

  test('latencies without a histogram, and a switch that nobody watched', () => {
    const evidence = { ...report().evidence, latencies: [{ ...report().evidence.latencies[0], bars: [] }] }
    expect(odd({ evidence })).not.toMatch(/NaN|undefined|Infinity/)
    const empty = { from: 0, every: 100, blue: [], green: [], unnamed: [], failed: [] }
    expect(
      reportPage(report({ switches: [{ ...report().record.switches[0], series: empty } as never] })),
    ).not.toMatch(/NaN|undefined|Infinity/)
  })
})
