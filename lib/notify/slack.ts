/**
 * Slack, by an incoming webhook (one message a state) or a bot token (one thread a deployment, whose parent says how
 * it stands). Everything that others wrote goes into text that is not marked up: `rich_text` knows mentions, links
 * and emoji only as elements of their own, so `<!channel>` in it are ten characters.
 * https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
 */
import { z } from 'zod'
import type { ChannelOf, Level } from '../settings/notify.ts'
import { plain } from '../text.ts'
import { checkText, fitted, headline, type Message } from './message.ts'
import { answered, post, secretParts, type Posted, type Result, type Sender, type Sending } from './post.ts'

/** Characters over all blocks: from about 13,200 on it refuses a message. */
const MOST = 10_000

const HEADER = 150

const COLORS: Record<Level, string> = { info: '🟢', warning: '🟡', critical: '🔴' }

type Element =
  | { type: 'text'; text: string; style?: { bold: true } }
  | { type: 'link'; url: string; text: string }

const text = (words: string): Element => ({ type: 'text', text: words })
const bold = (words: string): Element => ({ type: 'text', text: words, style: { bold: true } })
const section = (...elements: Element[]) => ({ type: 'rich_text_section', elements })
const rich = (...elements: object[]) => ({ type: 'rich_text', elements })

/** Blocks that fit, and the line that notifications show. Pure. */
export function slackMessage(message: Message): { text: string; mrkdwn: false; blocks: object[] } {
  return fitted(message, render, fits)
}

const fits = ({ blocks }: { blocks: object[] }): boolean => JSON.stringify(blocks).length <= MOST

function render(message: Message): ReturnType<typeof slackMessage> {
  const { facts, why, checks, moreChecks, next, link, level } = message
  const title = plain(`${COLORS[level]} ${headline(message)}`, HEADER)
  const lines = facts.flatMap(({ name, value }) => [bold(`${name}  `), text(`${value}\n`)])
  const failing = [...checks.map(checkText), ...(moreChecks > 0 ? [`and ${moreChecks} more`] : [])]
  return {
    text: escaped(headline(message)),
    mrkdwn: false,
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: title, emoji: false } },
      rich(section(...lines)),
      ...(why ? [rich({ type: 'rich_text_quote', elements: [text(why)] })] : []),
      ...(failing.length > 0
        ? [
            rich(section(bold('Checks that did not pass')), {
              type: 'rich_text_list',
              style: 'bullet',
              elements: failing.map((line) => section(text(line))),
            }),
          ]
        : []),
      ...(next
        ? [
            rich(section(text(`${next.what}:`)), {
              type: 'rich_text_preformatted',
              elements: [text(next.command)],
            }),
          ]
        : []),
      ...(link ? [rich(section({ type: 'link', url: link, text: 'Report' }))] : []),
    ],
  }
}

/** `text` is marked up, unlike the blocks. */
const escaped = (line: string): string =>
  line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

export function slack(
  { api, channel = '' }: ChannelOf<'slack'>,
  secret: { webhook?: string; token?: string },
): Sender {
  const { webhook, token = '' } = secret
  if (webhook !== undefined)
    return {
      once: false,
      secrets: secretParts(webhook),
      send: async (message, { signal, now }) =>
        (await post(webhook, { body: slackMessage(message), signal, now })).result,
    }
  return {
    once: true,
    secrets: [token],
    send: (message, around) => inThread({ api, channel, token }, message, around),
  }
}

const payload = z.object({ id: z.string().optional() }).optional()
const history = z.array(
  z.object({ ts: z.string(), metadata: z.object({ event_payload: payload }).optional() }),
)

interface Bot {
  api: string
  channel: string
  token: string
}

/** The first message about a record is the parent; each later one is a reply, after which the parent says it too. */
async function inThread(bot: Bot, message: Message, around: Sending): Promise<Result> {
  const { ref: parent } = around
  const known = around.repeated ? await found(bot, message, around) : 'not there'
  if (typeof known === 'object') return { sent: 'it had arrived', ref: parent ?? known.ts }
  const said = {
    channel: bot.channel,
    ...slackMessage({ ...message, repeated: known === 'not known' }),
    unfurl_links: false,
    unfurl_media: false,
    metadata: { event_type: 'deployment_state', event_payload: { id: message.id } },
  }
  // What is critical must reach who does not follow the thread.
  const reply = parent ? { thread_ts: parent, reply_broadcast: message.level === 'critical' } : {}
  const posted = await call(bot, 'chat.postMessage', { ...said, ...reply }, around)
  if (!('sent' in posted.result)) return posted.result
  const ts = parent ?? answered(posted).ts
  // What it says of the whole is a convenience: the reply has arrived.
  if (parent) await call(bot, 'chat.update', { ...said, ts: parent }, around)
  return { sent: posted.result.sent, ...(ts !== undefined && { ref: ts }) }
}

async function call(bot: Bot, method: string, body: object, { signal, now }: Sending): Promise<Posted> {
  const headers = { authorization: `Bearer ${bot.token}` }
  const posted = await post(`${bot.api}/${method}`, { headers, body, signal, now })
  const { ok, error } = answered(posted)
  if (!('sent' in posted.result) || ok === true) return posted
  // 200, and yet it failed.
  const failure = `${method}: ${error ?? 'no ok in its answer'}`
  const again = ['ratelimited', 'internal_error', 'fatal_error', 'service_unavailable', 'request_timeout']
  return { ...posted, result: { failure, again: again.includes(error ?? '') } }
}

type Found = { ts: string } | 'not there' | 'not known'

/** Whether the thread, or the channel where there is none yet, holds it already. */
async function found(bot: Bot, message: Message, around: Sending): Promise<Found> {
  const { ref, signal, now } = around
  const method = ref ? 'conversations.replies' : 'conversations.history'
  const query = new URLSearchParams({ channel: bot.channel, limit: '50', include_all_metadata: 'true' })
  if (ref) query.set('ts', ref)
  const headers = { authorization: `Bearer ${bot.token}` }
  const posted = await post(`${bot.api}/${method}?${query.toString()}`, {
    method: 'GET',
    headers,
    signal,
    now,
  })
  const { messages } = answered(posted)
  const listed = history.safeParse(messages)
  if (!listed.success) return 'not known' // it may not look: that takes channels:history
  const known = listed.data.find(({ metadata }) => metadata?.event_payload?.id === message.id)
  return known ? { ts: known.ts } : 'not there'
}
