/** Teams: a card by the reference library's own reading, small enough, in which nothing of strangers is read as Markdown. */
import { expect, test } from 'bun:test'
import { AdaptiveCard, SerializationContext, Version } from 'adaptivecards'
import { messageOf } from '../../../lib/notify/message.ts'
import { teams, teamsCard } from '../../../lib/notify/teams.ts'
import { states } from '../../../lib/settings/notify.ts'
import { json, receiver, sending, textsOf } from './receivers.ts'
import { hostileSubject, subjects } from './subjects.ts'

const at = '2026-11-23T08:04:00Z'

interface Envelope {
  type: string
  attachments: { contentType: string; contentUrl: null; content: { version: string; msteams: object } }[]
}

const cardOf = (
  subject = subjects['rolled-back'],
  state: (typeof states)[number] = 'rolled-back',
): Envelope =>
  JSON.parse(
    JSON.stringify(teamsCard(messageOf(subject, { state, at }, { reportUrl: 'https://r.example/{id}' }))),
  )

/** What the reference library finds wrong with a card, and whether all of it comes back as it was read. */
function problems({ attachments: [attachment] }: Envelope): string[] {
  const { msteams: _, ...content } = attachment?.content ?? { msteams: {} }
  const context = new SerializationContext(new Version(1, 4))
  const card = new AdaptiveCard()
  card.parse(content, context)
  const events = Array.from({ length: context.eventCount }, (_unused, i) => context.getEventAt(i).message)
  const wrong = card.validateProperties().validationEvents.map(({ message }) => message)
  const lost = textsOf(content).filter(
    ({ path, text }) =>
      path.endsWith('text') && !JSON.stringify(card.toJSON()).includes(JSON.stringify(text).slice(1, -1)),
  )
  return [...events, ...wrong, ...lost.map(({ path }) => `lost: ${path}`)]
}

test('the library finds what is wrong', () => {
  const broken = cardOf()
  Reflect.set(Object(broken.attachments[0]?.content), 'body', [
    { type: 'TextBlok' },
    { type: 'RichTextBlock', inlines: 3 },
  ])
  expect(problems(broken)).not.toEqual([])
})

test.each([...states])('%s is a card 1.4 in the envelope that a workflow takes', (state) => {
  const card = cardOf(subjects[state], state)
  expect(problems(card)).toEqual([])
  expect(card).toMatchObject({
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: { type: 'AdaptiveCard', version: '1.4', msteams: { width: 'Full' } },
      },
    ],
  })
})

test('hostile content is under 28 KB, and stands in nothing that reads Markdown, mentions or dates', () => {
  for (const subject of [
    hostileSubject(),
    hostileSubject('😀'.repeat(5000)),
    hostileSubject('"\\'.repeat(5000)),
  ]) {
    const card = cardOf(subject)
    expect(Buffer.byteLength(JSON.stringify(card))).toBeLessThan(28_000)
    expect(problems(card)).toEqual([])
    const types = textsOf(card).flatMap(({ path, text }) => (path.endsWith('type') ? [text] : []))
    expect(types).not.toContain('TextBlock')
    expect(types).not.toContain('FactSet')
    expect(textsOf(card).some(({ path }) => path.includes('entities'))).toBe(false)
    expect(JSON.stringify(card)).not.toContain('{{')
  }
})

test('202 says that the workflow has it, and no more', async () => {
  await using server = receiver(() => new Response('', { status: 202 }))
  const { send, secrets } = teams(`${server.url}/workflows/1?sig=a-secret-signature`)
  expect(await send(messageOf(subjects.started, { state: 'started', at }), sending())).toEqual({
    sent: 'accepted (202)',
  })
  expect(json(server.got[0]).type).toBe('message')
  expect(secrets).toContain('a-secret-signature')
})
