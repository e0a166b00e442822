/** Slack: what it refuses is never sent, and what strangers wrote stays text. */
import { describe, expect, test } from 'bun:test'
import { messageOf, type Message } from '../../../lib/notify/message.ts'
import { slack, slackMessage } from '../../../lib/notify/slack.ts'
import { states, type State } from '../../../lib/settings/notify.ts'
import { json, receiver, sending, textsOf, type Received } from './receivers.ts'
import { hostileSubject, subjects } from './subjects.ts'

const at = '2026-11-23T08:04:00Z'
const message = (state: State = 'rolled-back'): Message => messageOf(subjects[state], { state, at })

interface Block {
  type: string
  text?: { type: string; text: string; emoji?: boolean }
  elements?: unknown[]
}

/** What Slack refuses. https://docs.slack.dev/reference/block-kit/blocks */
function problems({ text, blocks }: { text?: string; blocks: Block[] }): string[] {
  const texts = textsOf(blocks).filter(({ path }) => path.endsWith('text'))
  const total = texts.reduce((sum, one) => sum + one.text.length, 0)
  const header = blocks.filter(({ type }) => type === 'header')
  return [
    ...(text ? [] : ['no text for notifications']),
    ...(blocks.length > 50 ? ['more than 50 blocks'] : []),
    ...(header.some((one) => (one.text?.text.length ?? 0) > 150) ? ['a header over 150'] : []),
    ...(texts.some((one) => one.text.length > 3000) ? ['a text over 3000'] : []),
    ...(texts.some((one) => one.text === '') ? ['an empty text'] : []),
    ...(total > 10_000 ? [`${total} characters over all blocks`] : []),
  ]
}

const elementTypes = (value: unknown): string[] => [
  ...new Set(textsOf(value).flatMap(({ path, text }) => (path.endsWith('type') ? [text] : []))),
]

test.each([...states])('%s is within the limits', (state) => {
  const made = slackMessage(message(state))
  expect(problems(JSON.parse(JSON.stringify(made)))).toEqual([])
})

describe('hostile content', () => {
  const hostile = slackMessage(messageOf(hostileSubject(), { state: 'rolled-back', at }))
  test('is within the limits', () => {
    expect(problems(JSON.parse(JSON.stringify(hostile)))).toEqual([])
    expect(JSON.stringify(hostile.blocks).length).toBeLessThanOrEqual(10_000)
  })
  test('is nothing but text: no mention, no link, no emoji, no markup', () => {
    const allowed = ['header', 'plain_text', 'rich_text', 'rich_text_section', 'rich_text_quote', 'text']
    const lists = ['rich_text_list', 'rich_text_preformatted']
    expect(elementTypes(hostile.blocks).filter((one) => ![...allowed, ...lists].includes(one))).toEqual([])
    expect(JSON.stringify(hostile.blocks)).toContain('<!channel>') // as ten characters of a text element
  })
  test('is escaped where Slack reads markup: in the line that notifications show', () => {
    expect(hostile.text).not.toMatch(/[<>]/)
    expect(hostile.mrkdwn).toBe(false)
  })
})

describe('an incoming webhook', () => {
  test('takes one message a state', async () => {
    await using server = receiver()
    const { send } = slack(
      { kind: 'slack', api: 'https://unused.example', on: ['all'] },
      { webhook: `${server.url}/services/T/B/X` },
    )
    expect(await send(message(), sending())).toEqual({ sent: '200 ok' })
    expect(server.got.map(({ path }) => path)).toEqual(['/services/T/B/X'])
    expect(problems(json(server.got[0]))).toEqual([])
  })
})

/** Slack's Web API, as far as a deployment uses it. */
function workspace(more: (received: Received, n: number) => Response | undefined = () => undefined) {
  let ts = 0
  return receiver((received, n) => {
    const instead = more(received, n)
    if (instead) return instead
    if (received.path === '/api/chat.postMessage') return Response.json({ ok: true, ts: `${++ts}.0` })
    if (received.path === '/api/chat.update') return Response.json({ ok: true, ts: json(received).ts })
    return Response.json({ ok: false, error: 'missing_scope' })
  })
}

const bot = (url: string) =>
  slack({ kind: 'slack', channel: 'C1', api: `${url}/api`, on: ['all'] }, { token: 'xoxb-secret' })

describe('a bot', () => {
  test('writes one thread a deployment, whose parent says how it stands', async () => {
    await using server = workspace()
    const { send } = bot(server.url)
    const first = await send(message('started'), sending())
    expect(first).toMatchObject({ ref: '1.0' })
    expect(await send(message('rolled-back'), sending({ ref: '1.0' }))).toMatchObject({ ref: '1.0' })
    const told = server.got.map((one) => ({ path: one.path, body: json(one) }))
    expect(told).toMatchObject([
      { path: '/api/chat.postMessage', body: { channel: 'C1', unfurl_links: false } },
      { path: '/api/chat.postMessage', body: { thread_ts: '1.0', reply_broadcast: true } },
      { path: '/api/chat.update', body: { ts: '1.0', text: 'chat: 1.4.2 was rolled back in production' } },
    ])
    expect(told[0]?.body.thread_ts).toBeUndefined()
    expect(server.got[0]?.headers.authorization).toBe('Bearer xoxb-secret')
    expect(server.got.map(({ body }) => body).join('')).not.toContain('xoxb')
  })

  test.each([
    ['channel_not_found', false],
    ['ratelimited', true],
  ])('200 with ok: false is a failure: %s', async (error, again) => {
    await using server = workspace(() => Response.json({ ok: false, error }))
    expect(await bot(server.url).send(message(), sending())).toEqual({
      failure: `chat.postMessage: ${error}`,
      again,
    })
  })

  test('200 without a word is one too', async () => {
    await using server = workspace(() => new Response('<html>'))
    expect(await bot(server.url).send(message(), sending())).toMatchObject({ again: false })
  })

  test('that the parent cannot be changed is no failure: the reply has arrived', async () => {
    await using server = workspace(({ path }) =>
      path.endsWith('update') ? new Response('', { status: 500 }) : undefined,
    )
    expect(await bot(server.url).send(message(), sending({ ref: '1.0' }))).toMatchObject({ ref: '1.0' })
  })

  test.each<[string, object, string | undefined, number]>([
    [
      'is there: it is not sent again',
      { messages: [{ ts: '9.0', metadata: { event_payload: { id: 'r1.rolled-back' } } }] },
      '9.0',
      0,
    ],
    ['is not there: it is sent as if for the first time', { messages: [{ ts: '9.0' }] }, '1.0', 1],
  ])('a message that was not confirmed is looked for; it %s', async (_, found, ref, posts) => {
    await using server = workspace(({ path }) =>
      path.startsWith('/api/conversations.history') ? Response.json({ ok: true, ...found }) : undefined,
    )
    expect(await bot(server.url).send(message(), sending({ repeated: true }))).toMatchObject({ ref })
    const posted = server.got.filter(({ path }) => path.endsWith('postMessage'))
    expect(posted.length).toBe(posts)
    expect(posted.map(({ body }) => body).join('')).not.toContain('repeated')
  })

  test('where it may not look, the repeat says that it may be one', async () => {
    await using server = workspace()
    await bot(server.url).send(message(), sending({ repeated: true, ref: '1.0' }))
    expect(server.got[0]?.path).toStartWith('/api/conversations.replies?channel=C1')
    expect(json(server.got[1]).text).toContain('(repeated: the delivery was not confirmed)')
  })
})
