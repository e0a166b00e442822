import { describe, expect, test } from 'bun:test'
import { quantity } from '../../../lib/app/quantity.ts'

describe('quantity', () => {
  test.each<[string, number]>([
    ['0', 0],
    ['3', 3],
    ['250m', 0.25],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['.5', 0.5],
    ['1k', 1000],
    ['1Ki', 1024],
    ['2M', 2e6],
    ['1e3', 1000],
    ['1E', 1e18],
    ['1Ei', 2 ** 60],
    ['100n', 1e-7],
    ['-1', -1],
  ])('%s', (text, expected) => expect(quantity(text)).toBeCloseTo(expected, 12))

  test.each(['', 'x', '1K', '1mi', '1 Gi', '1GB', 'Mi', '1..2', 'NaN', 'Infinity', '1i'])(
    '"%s" is none',
    (text) => {
      expect(() => quantity(text)).toThrow(`"${text}" is not a Kubernetes quantity`)
    },
  )
})
