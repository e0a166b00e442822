/**
 * Microsoft Teams, by a Workflows webhook: an Adaptive Card 1.4. What others wrote goes into `RichTextBlock`, the one
 * element whose text is not read as Markdown: nothing in it is a link, a mention or bold.
 * https://adaptivecards.io/explorer/RichTextBlock.html
 */
import type { Level } from '../settings/notify.ts'
import { checkText, fitted, headline, type Message } from './message.ts'
import { post, secretParts, type Sender } from './post.ts'

/** Bytes of the whole; at 28 KB it refuses, and counts what it adds itself. */
const MOST = 24_000

const STYLES: Record<Level, string> = { info: 'good', warning: 'warning', critical: 'attention' }

type Run = { type: 'TextRun'; text: string; weight?: 'Bolder'; size?: 'Large'; fontType?: 'Monospace' }

/** Where a word of more letters may be broken: the card would be as wide as the word. */
const LONG_WORD = /\S{60}/g

/** `{{DATE(…)}}` would be replaced. */
const run = (text: string, more: Omit<Run, 'type' | 'text'> = {}): Run => ({
  type: 'TextRun',
  text: text.replaceAll('{{', '{ {').replace(LONG_WORD, '$&\u200B'),
  ...more,
})

const block = (...inlines: Run[]) => ({ type: 'RichTextBlock', inlines })
const bold = (text: string): Run => run(text, { weight: 'Bolder' })

/** A card that fits. Pure. */
export const teamsCard = (message: Message): object =>
  fitted(message, render, (card) => Buffer.byteLength(JSON.stringify(card)) <= MOST)

function render(message: Message): object {
  const { facts, why, checks, moreChecks, next, link, level } = message
  const card = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      {
        type: 'Container',
        style: STYLES[level],
        bleed: true,
        items: [block(run(headline(message), { weight: 'Bolder', size: 'Large' }))],
      },
      ...facts.map(({ name, value }, i) => ({
        ...row(name, value),
        spacing: i === 0 ? 'Medium' : 'Small',
      })),
      ...(why ? [{ ...block(run(why)), separator: true, spacing: 'Medium' }] : []),
      ...(checks.length > 0 || moreChecks > 0
        ? [{ ...block(bold('Checks that did not pass')), separator: true, spacing: 'Medium' }]
        : []),
      ...checks.map((check) => ({ ...block(run(`• ${checkText(check)}`)), spacing: 'Small' })),
      ...(moreChecks > 0 ? [{ ...block(run(`• and ${moreChecks} more`)), spacing: 'Small' }] : []),
      ...(next ? [{ ...block(run(`${next.what}:`)), separator: true, spacing: 'Medium' }] : []),
      ...(next ? [{ ...block(run(next.command, { fontType: 'Monospace' })), spacing: 'Small' }] : []),
    ],
    ...(link && { actions: [{ type: 'Action.OpenUrl', title: 'Report', url: link }] }),
    msteams: { width: 'Full' },
  }
  const contentType = 'application/vnd.microsoft.card.adaptive'
  return { type: 'message', attachments: [{ contentType, contentUrl: null, content: card }] }
}

const column = (width: string, text: Run) => ({ type: 'Column', width, items: [block(text)] })

function row(name: string, value: string): object {
  return { type: 'ColumnSet', columns: [column('96px', bold(name)), column('stretch', run(value))] }
}

export const teams = (webhook: string): Sender => ({
  once: false,
  secrets: secretParts(webhook),
  send: async (message, { signal, now }) => {
    const { result } = await post(webhook, { body: teamsCard(message), signal, now })
    // 202 says that the workflow has it, not that it has posted it.
    return 'sent' in result ? { sent: `accepted (${result.sent})` } : result
  },
})
