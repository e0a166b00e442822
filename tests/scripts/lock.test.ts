/** Holding deployments up, as it is done on a command line. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { digest } from '../lib/objects.ts'
import { running } from '../lib/world.ts'
import { rehearseScripts } from './kubectl.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

test('a hold is placed, shown, seen by the status, and released', async () => {
  await using rehearsed = rehearseScripts(digest('c'))
  const { cluster } = rehearsed
  running(cluster, { blue: '1.0.0' }, 'blue')
  const free = await rehearsed.run('lock.ts', '--json')
  expect([free.err, free.out, free.code]).toEqual([
    'Deployments of chat in test are not held up\n',
    'null\n',
    0,
  ])

  const asked = await rehearsed.run('lock.ts', '--hold', 'the fair is on', '--until', '2h')
  expect([asked.err, asked.code]).toEqual([expect.stringContaining('pass --yes'), 2])
  expect(cluster.writes).toEqual([])

  const placed = await rehearsed.run(
    'lock.ts',
    '--hold',
    'the fair is on',
    '--until',
    '2h',
    '--yes',
    '--json',
  )
  expect(placed.err).toMatch(/chat in test is on hold by \S+ since \S+Z: the fair is on, until \S+Z\n$/)
  expect(placed.code).toBe(0)
  const hold: { until: string } = JSON.parse(placed.out)
  expect(hold).toMatchObject({ reason: 'the fair is on' })
  expect(Math.abs(Date.parse(hold.until) - Date.now() - 7_200_000)).toBeLessThan(60_000)
  expect(cluster.writes).toEqual(['create Lease chat-hold'])

  const status = await rehearsed.run('deployment-status.ts')
  expect(status.err).toMatch(/\n {2}hold {6}no deployments, by \S+ since \S+Z: the fair is on, until /)

  const released = await rehearsed.run('lock.ts', '--release', '--yes')
  expect(released.err).toEndWith('Deployments of chat in test are not held up\n')
  expect(released.code).toBe(0)
  const again = await rehearsed.run('lock.ts', '--release', '--yes')
  expect([again.err, again.code]).toEqual(['Deployments of chat in test are not held up\n', 0])
  expect(cluster.writes).toEqual(['create Lease chat-hold', 'patch lease chat-hold'])
})

test("another context than the environment's changes nothing", async () => {
  await using rehearsed = rehearseScripts(digest('c'))
  const { err, code } = await rehearsed.run('lock.ts', '--hold', 'why', '--yes', '--context', 'production')
  expect([err, code]).toEqual([expect.stringContaining('deployed through the context "test"'), 2])
  expect(rehearsed.cluster.writes).toEqual([])
})
