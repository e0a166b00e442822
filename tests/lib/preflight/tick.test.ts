import { describe, expect, test } from 'bun:test'
import { acksOf, gatherAcks } from '../../../lib/cli/acks.ts'
import type { Box } from '../../../lib/preflight/box.ts'
import { listed, passed, unknown, worst } from '../../../lib/preflight/box.ts'
import { boxLines, readAcks, refuseMissing, tick } from '../../../lib/preflight/tick.ts'
import type { BoxId } from '../../../lib/settings/preflight.ts'
import { preflight } from '../../../lib/settings/preflight.ts'
import { failure } from '../world.ts'

const box = (id: BoxId, verdict: Box['verdict']): Box => ({
  id,
  title: `${id}?`,
  verdict,
  why: `why ${id}`,
  next: verdict === 'passed' ? '' : `do ${id}`,
})

const boxes = [box('tests', 'passed'), box('docs', 'unknown'), box('api', 'failed'), box('drill', 'failed')]

describe('what somebody answers for', () => {
  test('is acknowledged by name, with what stood in the box; what passed needs nobody', () => {
    const acks = readAcks([
      ['docs,tests', 'nothing that users see'],
      ['api', 'no client is left'],
    ])
    const ticked = tick(boxes, acks, 'alice', ['drill'])
    expect(ticked.acknowledged).toEqual([
      { id: 'docs', reason: 'nothing that users see', by: 'alice', was: 'unknown: why docs' },
      { id: 'api', reason: 'no client is left', by: 'alice', was: 'failed: why api' },
    ])
    expect(ticked.boxes.map(({ verdict }) => verdict)).toEqual([
      'passed',
      'acknowledged',
      'acknowledged',
      'failed',
    ])
    expect([ticked.missing, ticked.warned.map(({ id }) => id)]).toEqual([[], ['drill']])
    expect(() => refuseMissing(ticked, 'production')).not.toThrow()
  })

  test('all that is missing is told at once, each with what to do', async () => {
    const ticked = tick(boxes, new Map(), 'alice', [])
    expect(ticked.acknowledged).toBeUndefined()
    const refuse = (): Promise<void> => Promise.try(() => refuseMissing(ticked, 'production'))
    expect(await failure(refuse())).toEqual({
      code: 6,
      message:
        '3 boxes are not ticked before production (docs/production-deployment-checklist.md):\n' +
        '  docs: why docs\n    do docs\n  api: why api\n    do api\n  drill: why drill\n    do drill',
    })
  })

  test.each([
    [['doc', 'x'], 'the boxes are tests, scan'],
    [['docs', ' '], 'the reason is empty'],
    [['docs,', 'x'], 'the boxes are'],
  ] as const)('%j is wrong usage', async (given, message) => {
    const { code, message: told } = await failure(Promise.try(() => readAcks([given])))
    expect(code).toBe(2)
    expect(told).toContain(message)
  })
})

describe('--ack', () => {
  test('takes two words, as often as there is something to answer for', () => {
    const args = ['--env', 'x', '--ack', 'docs', 'why: because', '--yes', '--ack', 'api,team: none']
    const gathered = gatherAcks(args)
    expect(gathered.slice(0, 3)).toEqual(['--env', 'x', '--yes'])
    const [ack = ''] = gathered.slice(3)
    expect(acksOf({ ack: ack.replace('--ack=', '') })).toEqual([
      ['docs', 'why: because'],
      ['api,team', 'none'],
    ])
    expect(acksOf({})).toEqual([])
    expect(gatherAcks(['--yes'])).toEqual(['--yes'])
  })

  test.each([
    [['--ack']],
    [['--ack', 'docs']],
    [['--ack', 'docs', '--yes']],
    [['--ack', '--yes']],
    [['--ack=']],
  ])('%j lacks its reason', async (args) => {
    const { code, message } = await failure(Promise.try(() => gatherAcks(args)))
    expect(code).toBe(2)
    expect(message).toContain('--ack takes a box and a reason')
  })
})

test('a list fits 80 columns, whatever stands in a box', () => {
  const long = { ...box('api', 'failed'), why: `${'a long reason '.repeat(20)}\u001b[31m` }
  const lines = boxLines([...boxes, long], new Map())
  expect(lines.filter((line) => line.length > 78)).toEqual([])
  expect(lines.join('')).not.toContain('\u001b')
  expect(lines[0]).toBe('✓ tests       tests?')
})

test('of several findings the worst counts; none is unknown', () => {
  const bad = { verdict: 'failed' as const, why: 'a', next: 'x' }
  const none = unknown('nothing', 'y')
  expect(worst([passed('p'), unknown('u', 'y'), bad], none)).toEqual(bad)
  expect(worst([passed('p'), unknown('u', 'y')], none).verdict).toBe('unknown')
  expect(worst([], none)).toBe(none)
  expect(listed(['1', '2', '3', '4', '5', '6', '7', '7'])).toBe('1; 2; 3; 4; 5; and 2 more')
})

test('a box is not in warn and off', () => {
  expect(preflight.safeParse({ warn: ['docs'], off: ['docs'] }).success).toBe(false)
  expect(preflight.safeParse({ warn: ['doc'] }).success).toBe(false)
  expect(preflight.parse({})).toMatchObject({ warn: [], off: [], clock: 30_000 })
})
