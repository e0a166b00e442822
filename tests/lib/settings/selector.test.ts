import { describe, expect, test } from 'bun:test'
import { parseSelector } from '../../../lib/settings/selector.ts'

describe('a selector', () => {
  const labels = { __name__: 'a_total', route: '/x', status: '503', color: 'green' }
  test.each([
    ['a_total', true],
    ['b_total', false],
    ['a_total{status=~"5.."}', true],
    ['a_total{status=~"5."}', false],
    ['a_total{status!~"5.."}', false],
    [' a_total { route!="/health" , color=~"blue|green" , } ', true],
    ['{__name__=~\'a_.+\',verification!="true"}', true],
    ['a_total{verification=""}', true],
    ['a_total{route="\\"/x"}', false],
    ['a_total{color=~"(?i)GREEN"}', true],
    ["a_total{route=~'/\\\\w'}", true],
    ['{color="green"}', true],
  ])('%s: %p', (text, selected) => {
    expect(parseSelector(text)?.(labels)).toBe(selected)
  })

  test.each([
    '',
    '{}',
    'rate(a[5m])',
    'a + b',
    'a{b="c"',
    'a{b}',
    'a{b=~"("}',
    'a[5m]',
    'sum(a)',
    'a{b="c"} offset 5m',
    '1',
    'NaN',
    'bool',
    'a{b="\\\'"}',
    "a{b='\\\"'}",
    'inf',
    'a{b="\\."}',
    'a{b=`c`}',
    'a{,}',
    '{b=""}',
    '{b=~".*"}',
    'a{__name__="b"}',
    'a{b="c",,d="e"}',
  ])('%s is none', (text) => expect(parseSelector(text)).toBeUndefined())
})
