/** Any receiver: the reference library of Standard Webhooks believes the signature, and no other. */
import { expect, test } from 'bun:test'
import { Webhook } from 'standardwebhooks'
import { messageOf } from '../../../lib/notify/message.ts'
import { webhook, webhookBody, wrongSecret } from '../../../lib/notify/webhook.ts'
import { states } from '../../../lib/settings/notify.ts'
import { receiver, sending } from './receivers.ts'
import { hostileSubject, subjects } from './subjects.ts'

const at = '2026-11-23T08:04:00Z'
const [old, fresh, other] = ['old', 'new', 'foreign'].map(
  (name) => `whsec_${Buffer.from(name.padEnd(24, '.')).toString('base64')}`,
)

test.each([...states])('%s is verified', async (state) => {
  await using server = receiver()
  const message = messageOf(subjects[state], { state, at })
  expect(await webhook({ url: `${server.url}/hook` }, `${fresh}`).send(message, sending())).toEqual({
    sent: '200 ok',
  })
  const { headers = {}, body = '' } = server.got[0] ?? {}
  const verified = new Webhook(`${fresh}`).verify(body, headers)
  expect(verified).toMatchObject({
    type: `deployment.${state}`,
    timestamp: at,
    data: { record: 'r1', state },
  })
  expect(headers['webhook-id']).toBe(`r1.${state}`)
  expect(() => new Webhook(`${other}`).verify(body, headers)).toThrow()
  expect(() => new Webhook(`${fresh}`).verify(`${body} `, headers)).toThrow()
})

test('while keys rotate, whoever has either believes it', async () => {
  await using server = receiver()
  const message = messageOf(subjects.started, { state: 'started', at })
  await webhook({ url: server.url }, `${old} ${fresh}`).send(message, sending())
  const { headers = {}, body = '' } = server.got[0] ?? {}
  for (const secret of [old, fresh]) new Webhook(`${secret}`).verify(body, headers)
  expect(body + JSON.stringify(headers)).not.toContain('whsec_')
})

test('each try is of its own moment, and has the same id', async () => {
  await using server = receiver()
  const message = messageOf(subjects.started, { state: 'started', at })
  const { send } = webhook({ url: server.url }, `${fresh}`)
  for (const now of [1_700_000_000_500, 1_700_000_060_000]) await send(message, sending({ now }))
  expect(server.got.map(({ headers }) => [headers['webhook-id'], headers['webhook-timestamp']])).toEqual([
    ['r1.started', '1700000000'],
    ['r1.started', '1700000060'],
  ])
})

test('hostile content is under 20 kB', () => {
  for (const words of [undefined, '😀'.repeat(5000), '"\\'.repeat(5000)]) {
    const body = webhookBody(messageOf(hostileSubject(words), { state: 'rolled-back', at }))
    expect(Buffer.byteLength(body)).toBeLessThan(20_000)
    expect(JSON.parse(body).data.moreChecks).toBeGreaterThan(40)
  }
})

test.each([
  [`${fresh}`, undefined],
  [`${old} ${fresh}`, undefined],
  ['secret', 'holds no secret of the form whsec_ and base64 (24 bytes or more)'],
])('a secret such as %p', (value, problem) => expect(wrongSecret(value)).toBe(problem))
