/** A look reads, and no more: nothing is changed, no secret is kept, and what may not be read is named. */
import { expect, test } from 'bun:test'
import { look } from '../../../lib/diagnose/look.ts'
import { redactor } from '../../../lib/text.ts'
import { refused } from '../cluster.ts'
import { rehearse, running, type Rehearsal } from '../world.ts'

const redact = redactor({ DATABASE_PASSWORD: 'p4ssw0rd-of-chat' })

/** 1.0.0 is live in blue; what its pods log is the test's. */
function logging(...lines: string[]): Rehearsal {
  const stage = rehearse()
  running(stage.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  stage.cluster.intercept = (line) => {
    if (!line.startsWith('logs ')) return undefined
    const stdout = lines.map((text) => `[pod/chat-blue-1/app] 2026-11-23T08:00:00Z ${text}\n`).join('')
    return { stdout, stderr: '', exitCode: 0 }
  }
  return stage
}

test('nothing is written, and users are asked a few times only', async () => {
  await using stage = logging()
  const scene = await look(stage.world, { redact })
  expect([stage.cluster.writes, stage.cluster.printed]).toEqual([[], []])
  expect(stage.cluster.asked.filter((line) => !/^(get|logs) /.test(line))).toEqual([])
  expect(stage.app.all).toBeGreaterThan(3)
  expect(stage.app.all).toBeLessThan(40)
  expect(scene.answers.filter(({ at }) => at === 'live').map(({ color }) => color)).toContain('blue')
  expect(scene.answers.filter(({ at }) => at === 'preview').map(({ color }) => color)).toContain('green')
})

test('what is secret in a log stands in nothing that is kept (S7)', async () => {
  await using stage = logging(
    'cannot sign in with p4ssw0rd-of-chat',
    'postgres://chat:other-secret@db/chat is away',
  )
  const scene = JSON.stringify(await look(stage.world, { redact }))
  expect(scene).toContain('cannot sign in with ***')
  expect(scene).toContain('postgres://***@db/chat')
  expect(scene).not.toMatch(/p4ssw0rd|other-secret/)
})

const forbidden = (what: string): string =>
  `Error from server (Forbidden): ${what} is forbidden: User "viewer" cannot list resource "${what}"`

test('what this account may not read is named, once, and the rest is read', async () => {
  await using stage = logging()
  stage.cluster.intercept = (line) => {
    const [, what] = /^(?:get )?(networkpolicies|logs) /.exec(line) ?? []
    return what === undefined ? undefined : refused(forbidden(what))
  }
  const { unread, policies, objects } = await look(stage.world, { redact })
  expect(unread.map((line) => line.replace(/:.*/s, '')).toSorted()).toEqual(['logs', 'networkpolicies'])
  expect(policies).toBeUndefined()
  expect(objects.length).toBeGreaterThan(5)
})

test('a cluster that does not answer is said to be away, not healthy', async () => {
  await using stage = logging()
  stage.cluster.intercept = () =>
    refused('Unable to connect to the server: dial tcp: connect: connection refused')
  const failed: unknown = await look(stage.world, { redact }).catch((error: unknown) => error)
  expect(String(failed)).toContain('The cluster of context "test" does not answer')
})

test('an address that is silent is not asked again and again', async () => {
  await using stage = logging()
  const closed = { ...stage.world.environment, url: 'http://127.0.0.1:1' }
  const { answers } = await look({ ...stage.world, environment: closed }, { redact })
  const live = answers.filter(({ at }) => at === 'live')
  expect(live.every(({ failure }) => failure !== undefined)).toBe(true)
  expect(live.length).toBe(1 + closed.smoke.filter(({ method }) => method === 'GET').length)
})
