import { describe, expect, test } from 'bun:test'
import { judgeWindows } from '../../../lib/preflight/windows.ts'
import { windows } from '../../../lib/settings/preflight.ts'

const at = (time: string): number => Date.parse(time)

const weekday = { zone: 'Europe/Berlin', open: [{ from: '09:00', to: '16:00' }] }

const judged = (settings: unknown, time: string) => judgeWindows(windows.parse(settings), at(time))

test('where none are set, a deployment may begin at any time', () => {
  expect(judgeWindows(undefined, 0)).toMatchObject({ verdict: 'passed' })
  expect(judged({ zone: 'UTC' }, '2026-11-28T10:00:00Z').verdict).toBe('passed')
})

// In Berlin it is one hour later than UTC in winter, two in summer.
test.each([
  ['a Friday at nine', '2026-11-27T08:00:00Z', 'passed'],
  ['a minute before', '2026-11-27T07:59:59Z', 'failed'],
  ['at four it is closed', '2026-11-27T15:00:00Z', 'failed'],
  ['a minute before that', '2026-11-27T14:59:59Z', 'passed'],
  ['a Saturday', '2026-11-28T10:00:00Z', 'failed'],
  ['nine in summer', '2026-07-01T07:00:00Z', 'passed'],
  ['nine in summer, by winter time', '2026-07-01T06:59:00Z', 'failed'],
  ['the Monday after the clock was set back', '2026-10-26T08:00:00Z', 'passed'],
  ['the same, an hour before', '2026-10-26T07:30:00Z', 'failed'],
  ['the Monday after it was set forward', '2026-03-30T07:00:00Z', 'passed'],
])('%s', (_, time, verdict) => {
  expect(judged(weekday, time).verdict).toBe(verdict as 'passed')
})

const every = { days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] }
const night = (from: string, to: string) => ({ zone: 'Europe/Berlin', open: [{ ...every, from, to }] })

describe('the night in which 02:00 comes twice (2026-10-25, 01:00 UTC)', () => {
  test.each([
    ['the first 02:45', '2026-10-25T00:45:00Z', 'failed'],
    ['the second 02:15', '2026-10-25T01:15:00Z', 'failed'],
    ['the second 02:45', '2026-10-25T01:45:00Z', 'passed'],
    ['03:15', '2026-10-25T02:15:00Z', 'passed'],
    ['03:30', '2026-10-25T02:30:00Z', 'failed'],
  ])('a window from 02:30 to 03:30 opens once, at %s', (_, time, verdict) => {
    expect(judged(night('02:30', '03:30'), time).verdict).toBe(verdict as 'passed')
  })

  test.each([
    ['the first 02:15', '2026-10-25T00:15:00Z', 'passed'],
    ['the first 02:45', '2026-10-25T00:45:00Z', 'failed'],
    ['the second 02:15', '2026-10-25T01:15:00Z', 'failed'],
  ])('one from 01:00 to 02:30 closes for good, at %s', (_, time, verdict) => {
    expect(judged(night('01:00', '02:30'), time).verdict).toBe(verdict as 'passed')
  })

  test('a freeze until 02:30 ends with the second', () => {
    const frozen = {
      zone: 'Europe/Berlin',
      freezes: [{ from: '2026-10-24T12:00', to: '2026-10-25T02:30', reason: 'fair' }],
    }
    expect(judged(frozen, '2026-10-25T01:29:00Z').verdict).toBe('failed')
    expect(judged(frozen, '2026-10-25T01:30:00Z').verdict).toBe('passed')
  })
})

describe('the night in which 02:00 never comes (2026-03-29, 01:00 UTC)', () => {
  test('a window from 02:15 to 02:45 does not open', () => {
    for (let minute = 0; minute < 180; minute += 5) {
      const time = new Date(at('2026-03-29T00:00:00Z') + minute * 60_000).toISOString()
      expect(judged(night('02:15', '02:45'), time).verdict).toBe('failed')
    }
  })

  test('one from 01:30 to 03:30 is an hour long', () => {
    const short = night('01:30', '03:30')
    expect(judged(short, '2026-03-29T00:29:00Z').verdict).toBe('failed')
    expect(judged(short, '2026-03-29T00:30:00Z').verdict).toBe('passed')
    expect(judged(short, '2026-03-29T01:29:00Z').verdict).toBe('passed')
    expect(judged(short, '2026-03-29T01:30:00Z').verdict).toBe('failed')
  })
})

test('a window over midnight belongs to the day on which it opens', () => {
  const late = { zone: 'America/New_York', open: [{ days: ['fri'], from: '22:00', to: '02:00' }] }
  expect(judged(late, '2026-11-28T03:00:00Z').verdict).toBe('passed') // Fri 22:00
  expect(judged(late, '2026-11-28T06:59:00Z').verdict).toBe('passed') // Sat 01:59
  expect(judged(late, '2026-11-28T07:00:00Z').verdict).toBe('failed') // Sat 02:00
  expect(judged(late, '2026-11-27T06:00:00Z').verdict).toBe('failed') // Fri 01:00
})

describe('a freeze', () => {
  const frozen = { ...weekday, freezes: [{ from: '2026-12-21', to: '2027-01-03', reason: 'holidays' }] }

  test('holds from the beginning of its first day to the end of its last, and says until when', () => {
    expect(judged(frozen, '2026-12-21T09:00:00Z')).toEqual({
      verdict: 'failed',
      why: 'Mon 2026-12-21 10:00 Europe/Berlin: frozen until Mon 2027-01-04 00:00 Europe/Berlin (holidays)',
      next: 'wait, or --ack windows "<reason>"',
    })
    expect(judged(frozen, '2027-01-04T09:00:00Z').verdict).toBe('passed')
    const always = { ...frozen, open: [] }
    expect(judged(always, '2026-12-20T22:59:59Z').verdict).toBe('passed')
    expect(judged(always, '2026-12-20T23:00:00Z').verdict).toBe('failed')
    expect(judged(always, '2027-01-03T22:59:59Z').verdict).toBe('failed')
    expect(judged(always, '2027-01-03T23:00:00Z').verdict).toBe('passed')
  })

  test('the next opening that is told is after it', () => {
    expect(judged(frozen, '2026-12-18T16:00:00Z').why).toBe(
      'Fri 2026-12-18 17:00 Europe/Berlin is in no window; the next opens Mon 2027-01-04 09:00 Europe/Berlin',
    )
  })
})

test.each([
  { zone: 'Mars/Base' },
  { zone: '' },
  { zone: 'UTC', open: [{ from: '9:00', to: '10:00' }] },
  { zone: 'UTC', open: [{ from: '09:00', to: '24:00' }] },
  { zone: 'UTC', open: [{ from: '09:00', to: '09:00' }] },
  { zone: 'UTC', open: [{ days: [], from: '09:00', to: '10:00' }] },
  { zone: 'UTC', freezes: [{ from: '2026-12-24', to: '2026-12-23', reason: 'x' }] },
  { zone: 'UTC', freezes: [{ from: '2026-02-30', to: '2026-03-02', reason: 'x' }] },
  { zone: 'UTC', freezes: [{ from: '2026-12-24', to: '2026-12-26', reason: '' }] },
])('%j is refused when the file is read', (settings) => {
  expect(windows.safeParse(settings).success).toBe(false)
})
