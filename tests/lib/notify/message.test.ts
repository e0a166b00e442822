/** What is said of a record, whatever the channel. */
import { describe, expect, test } from 'bun:test'
import { asText, headline, messageOf } from '../../../lib/notify/message.ts'
import { isWanted, stateOf, table, type Subject } from '../../../lib/notify/states.ts'
import { Secrets } from '../../../lib/secrets.ts'
import { states, type State } from '../../../lib/settings/notify.ts'
import { hostileSubject, subjects } from './subjects.ts'

const at = '2026-11-23T08:04:00Z'
const said = (state: State, about?: string) => messageOf(subjects[state], { state, at, about })

describe('the state of a record', () => {
  const saidByTheRun: State[] = ['switched', 'lock-taken-over']
  test.each(states.filter((state) => !saidByTheRun.includes(state)))('%s', (state) => {
    expect(stateOf(subjects[state])).toBe(state)
  })

  test.each<[string, Partial<Subject>, State]>([
    ['a rollback that did not move anybody', { kind: 'rollback', outcome: 'failed' }, 'rollback-failed'],
    ['a rollback that was interrupted', { kind: 'rollback', outcome: 'interrupted' }, 'rollback-failed'],
    ['a rollback that is not whole', { kind: 'rollback', outcome: 'needs-person' }, 'needs-person'],
    ['what was live, and was gone back from later', { outcome: 'taken-back' }, 'succeeded'],
    ['what was rolled back, and released later', { outcome: 'released' }, 'rolled-back'],
    ['a switch alone', { kind: 'switch', outcome: 'succeeded' }, 'succeeded'],
    ['a bake that has not judged yet', { outcome: 'open', bake: { verdict: undefined } }, 'baking'],
  ])('%s', (_, about, state) => expect(stateOf({ ...subjects.succeeded, ...about })).toBe(state))
})

test.each(states)('%s: says what, where, who, from and to', (state) => {
  const message = said(state)
  const text = asText(message)
  expect(message.title).toStartWith('chat: ')
  for (const part of ['production', '1.4.1 (blue) → 1.4.2 (green)', 'alice@laptop', 'a feature', 'r1'])
    expect(text).toContain(part)
  expect(message.id).toBe(`r1.${state}`)
})

test('no two states say the same', () => {
  expect(new Set(states.map((state) => said(state).title)).size).toBe(states.length)
  expect(new Set(states.map((state) => table[state].reason)).size).toBe(states.length)
})

test('a rollback by itself: why, with the numbers, the checks with their evidence, how long, how many, what now', () => {
  expect(asText(said('rolled-back'))).toBe(
    [
      'chat: 1.4.2 was rolled back in production',
      '',
      'where: production',
      'version: 1.4.1 (blue) → 1.4.2 (green)',
      'who: alice@laptop',
      'reason: a feature',
      'took: 3 m 34 s',
      'users: 37 of 532 requests failed (7.0 %), by the witness; 19 s until all were back from 1.4.2',
      'record: r1',
      '',
      '1 of 4 checks did not pass through the live URL: its database and dependencies answer',
      '',
      'Checks that did not pass:',
      '- smoke: its database and dependencies answer: expected status 200 within 5 s, saw status 503: {"database":"refused"} (smoke/ready.json)',
      '',
      'To see what users met:',
      '  bun scripts/deployment-history.ts --env production',
      '',
    ].join('\n'),
  )
})

test('what a run says at its end is more than its record says', () => {
  expect(said('needs-person', 'run: kubectl patch').why).toBe('run: kubectl patch')
  expect(said('needs-person').why).toBe(subjects['needs-person'].message)
  expect(said('succeeded').why).toBeUndefined()
})

test('what succeeded names no check that failed and was left out before', () => {
  const { checks } = subjects['rolled-back']
  expect(messageOf({ ...subjects.succeeded, checks }, { state: 'succeeded', at }).checks).toEqual([])
})

test.each<[string, string | undefined]>([
  ['https://reports.example.com/{environment}/{id}/', 'https://reports.example.com/production/r1/'],
  ['https://reports.example.com/', 'https://reports.example.com/'],
  [`https://reports.example.com/${'x'.repeat(2000)}`, undefined],
])('the report: %p', (reportUrl, link) => {
  expect(messageOf(subjects.started, { state: 'started', at }, { reportUrl }).link).toBe(link)
})

test('a record that is open is finished or undone, one that is closed is looked at', () => {
  const open = messageOf(subjects.started, { state: 'needs-person', at })
  expect(open.next?.command).toBe('bun scripts/deployment-status.ts --env production --repair')
  expect(said('needs-person').next?.command).toBe('bun scripts/deployment-status.ts --env production')
  expect(said('verified').next?.command).toBe('bun scripts/deploy.ts --env production --resume r1')
  expect(messageOf(subjects.started, { state: 'verified', at }).next).toBeUndefined()
})

test('a secret stands in nothing, also where it is cut', () => {
  const secret = 'hunter2-hunter2-hunter2'
  const subject = hostileSubject(`${'y'.repeat(70)}${secret}${'z'.repeat(200)}${secret}`)
  const message = messageOf(subject, { state: 'rolled-back', at }, { secrets: new Secrets([secret]) })
  expect(JSON.stringify(message)).not.toContain('hunter')
  expect(JSON.stringify(message)).toContain('***')
})

test('strangers write one line, of a length, without control characters', () => {
  const message = messageOf(hostileSubject(), { state: 'rolled-back', at })
  expect(asText(message).length).toBeLessThan(12_000)
  expect(headline(message)).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  expect(message.facts.every(({ value }) => value.length <= 300)).toBe(true)
  expect(message.moreChecks).toBe(44)
})

test('a repeat and an example say so', () => {
  const message = said('started')
  expect(headline({ ...message, repeated: true })).toEndWith('(repeated: the delivery was not confirmed)')
  expect(headline({ ...message, example: true })).toStartWith('[example] ')
})

test.each<[Parameters<typeof isWanted>[0], State[]]>([
  [['critical'], ['rolled-back', 'rolled-back-by-hand', 'rollback-failed', 'needs-person', 'environment']],
  [
    ['verified', 'warning'],
    ['verified', 'stopped', 'lock-taken-over', 'superseded'],
  ],
  [
    ['outcome'],
    [
      'succeeded',
      'stopped',
      'rolled-back',
      'rolled-back-by-hand',
      'rollback-failed',
      'needs-person',
      'lock-taken-over',
      'superseded',
    ],
  ],
  [['all'], [...states]],
])('who asks for %j is told %j', (on, expected) => {
  expect(states.filter((state) => isWanted(on, state, table[state].ends))).toEqual(expected)
})
