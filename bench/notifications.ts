/**
 * What people see of a notification, as pictures in reports/notifications: the mail (light, dark, 390 px), the card by
 * the reference library of Adaptive Cards, and Slack's blocks by a plain renderer. To be looked at when one changes.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser } from '@playwright/test'
import { z } from 'zod'
import { exampleMessage } from '../lib/notify/example.ts'
import { mailHtml } from '../lib/notify/mail-html.ts'
import { messageOf, type Message } from '../lib/notify/message.ts'
import { slackMessage } from '../lib/notify/slack.ts'
import { teamsCard } from '../lib/notify/teams.ts'
import { hostileSubject, subjects } from '../tests/lib/notify/subjects.ts'
import { findBrowser } from '../verify/browser.ts'

const TO = join(import.meta.dir, '../reports/notifications')
const at = '2026-11-23T08:04:00Z'
const around = { reportUrl: 'https://reports.example.com/{environment}/{id}/' }

const messages: Record<string, Message> = {
  succeeded: messageOf(subjects.succeeded, { state: 'succeeded', at }, around),
  stopped: messageOf(subjects.stopped, { state: 'stopped', at }, around),
  'rolled-back': exampleMessage(subjects['rolled-back'], around.reportUrl),
  hostile: messageOf(hostileSubject(), { state: 'rolled-back', at }, around),
}

interface Element {
  type: string
  text?: unknown
  url?: string
  style?: unknown
  elements?: Element[]
}

/** Slack's blocks, as far as they are used: enough to see lines, weights and order. */
function slackHtml({ text, type, elements = [], style, url }: Element): string {
  const inside = elements.map(slackHtml).join('')
  const words = Bun.escapeHTML(typeof text === 'string' ? text : '')
  switch (type) {
    case 'header':
      return `<h3>${Bun.escapeHTML(String(Reflect.get(Object(text), 'text')))}</h3>`
    case 'rich_text_section':
      return `<div>${inside}</div>`
    case 'rich_text_quote':
      return `<blockquote>${inside}</blockquote>`
    case 'rich_text_preformatted':
      return `<pre>${inside}</pre>`
    case 'rich_text_list':
      return `<ul>${elements.map((one) => `<li>${slackHtml(one)}</li>`).join('')}</ul>`
    case 'link':
      return `<a href="${Bun.escapeHTML(url ?? '')}">${words}</a>`
    case 'text':
      return style ? `<b>${words}</b>` : words
    default:
      return inside
  }
}

const SLACK = `body{font:15px/1.46 Lato,Arial,sans-serif;margin:16px;max-width:640px;color:#1d1c1d;white-space:pre-wrap;
overflow-wrap:anywhere}h3{margin:0 0 4px}div{margin:4px 0}blockquote{border-left:4px solid #ddd;margin:4px 0;padding-left:12px}
pre{border:1px solid #ddd;background:#f8f8f8;padding:8px;margin:4px 0;font-size:12px;white-space:pre-wrap}ul{margin:0;padding-left:20px}`

/** As Slack reads it. */
const parsed = (block: object): Element => JSON.parse(JSON.stringify(block))

const cardForm = z.object({ attachments: z.array(z.object({ content: z.looseObject({}) })) })

const slackPage = (message: Message): string =>
  `<meta charset=utf-8><style>${SLACK}</style>${slackMessage(message)
    .blocks.map((block) => slackHtml(parsed(block)))
    .join('')}`

function teamsPage(message: Message): string {
  const library = readFileSync(require.resolve('adaptivecards/dist/adaptivecards.min.js'), 'utf8')
  const { attachments } = cardForm.parse(teamsCard(message))
  const card = JSON.stringify(attachments[0]?.content).replaceAll('<', '\\u003c')
  const host = {
    fontFamily: 'Segoe UI, Arial, sans-serif',
    containerStyles: {
      good: { backgroundColor: '#dff6dd' },
      warning: { backgroundColor: '#fff4ce' },
      attention: { backgroundColor: '#fde7e9' },
    },
    fontSizes: { default: 14, large: 18 },
    spacing: { small: 4, default: 8, medium: 12, padding: 16 },
    separator: { lineThickness: 1, lineColor: '#dddddd' },
  }
  return `<meta charset=utf-8><body style="margin:16px;max-width:680px"><script>${library}</script><script>
    const card = new AdaptiveCards.AdaptiveCard(); card.hostConfig = new AdaptiveCards.HostConfig(${JSON.stringify(host)})
    card.parse(${card}); document.body.append(card.render())</script>`
}

async function shoot(
  browser: Browser,
  name: string,
  html: string,
  width: number,
  dark = false,
): Promise<void> {
  const page = await browser.newPage({
    viewport: { width, height: 400 },
    colorScheme: dark ? 'dark' : 'light',
  })
  await page.setContent(html)
  const wide = await page.evaluate('document.documentElement.scrollWidth')
  if (Number(wide) > width) console.error(`${name}: ${String(wide)} px wide, in ${width}`)
  await page.screenshot({ path: join(TO, `${name}.png`), fullPage: true })
  await page.close()
}

if (import.meta.main) {
  mkdirSync(TO, { recursive: true })
  const executablePath = await findBrowser(process.env)
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  for (const [name, message] of Object.entries(messages)) {
    await shoot(browser, `mail-${name}`, mailHtml(message), 760)
    await shoot(browser, `mail-${name}-dark`, mailHtml(message), 760, true)
    await shoot(browser, `mail-${name}-390`, mailHtml(message), 390)
    await shoot(browser, `slack-${name}`, slackPage(message), 700)
    await shoot(browser, `teams-${name}`, teamsPage(message), 720)
  }
  await browser.close()
  console.log(TO)
}
