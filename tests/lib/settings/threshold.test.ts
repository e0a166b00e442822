import { describe, expect, test } from 'bun:test'
import { keeps, samplesNeeded, threshold, type Threshold } from '../../../lib/settings/threshold.ts'

const duration = (text: string): Threshold => threshold('duration').parse(text)
const rate = (text: string): Threshold => threshold('rate').parse(text)

describe('what is written', () => {
  test.each<[string, Omit<Threshold, 'text'>]>([
    ['p(99)<500', { aggregate: { percentile: 99 }, operator: '<', value: 500 }],
    ['p(99.9)<=1.5', { aggregate: { percentile: 99.9 }, operator: '<=', value: 1.5 }],
    ['p(0) > 0', { aggregate: { percentile: 0 }, operator: '>', value: 0 }],
    ['avg<100', { aggregate: 'avg', operator: '<', value: 100 }],
    ['med!=3', { aggregate: 'med', operator: '!=', value: 3 }],
    ['med===3', { aggregate: 'med', operator: '===', value: 3 }],
    ['max >= 2000', { aggregate: 'max', operator: '>=', value: 2000 }],
  ])('%s', (text, parsed) => expect(duration(text)).toEqual({ text, ...parsed }))

  test('a rate', () => {
    expect(rate('rate<0.01')).toEqual({
      text: 'rate<0.01',
      aggregate: 'rate',
      operator: '<',
      value: 0.01,
    })
  })

  test.each([
    ['duration', 'p(101)<500', 'a percentile is at most 100'],
    ...[
      '',
      'p99<500',
      'p()<1',
      'p(99)<',
      'p(99)<-1',
      'p(99)<1e3',
      'p(99)<5 or so',
      'P(99)<5',
      'rate<1',
      'p(99)<NaN',
    ].map((text) => ['duration', text, 'expected a threshold such as p(99)<500, avg<100 or max<=2000']),
    ...['p(99)<500', 'rate', 'rate<1%', 'xrate<1'].map((text) => [
      'rate',
      text,
      'expected a threshold such as rate<0.01',
    ]),
  ] as ['duration' | 'rate', string, string][])(
    '%s: %p is refused in one sentence',
    (kind, text, message) => {
      const { error } = threshold(kind).safeParse(text)
      expect(error?.issues.map((issue) => issue.message)).toEqual([message])
    },
  )
})

describe('what is kept', () => {
  test.each<[string, number, boolean]>([
    ['p(99)<500', 499.9, true],
    ['p(99)<500', 500, false],
    ['p(99)<=500', 500, true],
    ['p(99)>500', 500, false],
    ['p(99)>=500', 500, true],
    ['p(99)==500', 500, true],
    ['p(99)!=500', 500, false],
    ...(['<', '<=', '>', '>=', '==', '!='] as const).map((operator): [string, number, boolean] => [
      `p(99)${operator}500`,
      Number.NaN,
      false,
    ]),
    ['p(99)<500', Number.POSITIVE_INFINITY, false],
  ])('%s of %p: %p', (text, measured, kept) => expect(keeps(duration(text), measured)).toBe(kept))
})

describe('how many requests it takes', () => {
  test.each([
    ['p(50)<1', 20],
    ['p(90)<1', 100],
    ['p(95)<1', 200],
    ['p(99)<1', 1000],
    ['p(99.9)<1', 10_000],
    ['p(99.99)<1', 100_000],
    ['p(100)<1', 20],
    ['avg<1', 20],
    ['max<1', 20],
  ])('%s: %p', (text, needed) => expect(samplesNeeded(duration(text))).toBe(needed))

  test.each([
    ['rate<0.01', 100],
    ['rate<0.001', 1000],
    ['rate<0.5', 100],
    ['rate==0', 100],
  ])('%s: %p', (text, needed) => expect(samplesNeeded(rate(text))).toBe(needed))
})
