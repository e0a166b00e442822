import type { Locator, Page } from '@playwright/test'
import { expect, test } from './fixtures.ts'

const QUESTION = 'Deployment checks wonder whether answers grow word by word'
const ANSWER = 'You said 9 words, the last was "word". Tell me more.'

/** Notes what the newest message reads, whenever it changes. As text: the specs' types know no browser. */
const WATCH_REPLY = `
  globalThis.readings = []
  const messages = document.querySelector('[role=log]')
  const read = () => readings.push(messages.lastElementChild?.lastElementChild?.textContent ?? '')
  new MutationObserver(read).observe(messages, { childList: true, subtree: true, characterData: true })`

const messages = (page: Page): Locator => page.getByRole('log', { name: 'Messages' })

async function start(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'New conversation' }).click()
  await expect(page.getByLabel('Message', { exact: true })).toBeFocused()
}

async function send(page: Page): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(QUESTION)
  await page.getByRole('button', { name: 'Send' }).click()
}

test('a new conversation is opened and listed', async ({ chat }) => {
  await start(chat)
  await expect(chat).toHaveURL(/#./)
  const { hash } = new URL(chat.url())
  await expect(chat.getByRole('navigation').locator(`a[href="${hash}"]`)).toHaveAttribute(
    'aria-current',
    'page',
  )
  await expect(messages(chat)).toBeEmpty()
})

test('the reply to a message streams in', async ({ chat }) => {
  await start(chat)
  await chat.evaluate(WATCH_REPLY)
  await send(chat)
  await expect(messages(chat)).toContainText(ANSWER)
  const readings = String(await chat.evaluate('readings.join("\\n")')).split('\n')
  const partly = readings.filter((text) => text !== '' && text !== ANSWER && ANSWER.startsWith(text))
  expect(new Set(partly).size, 'times that the reply was seen unfinished').toBeGreaterThanOrEqual(2)
})

test('history survives a reload', async ({ chat }) => {
  await start(chat)
  await send(chat)
  const isThere = async (): Promise<void> => {
    await expect(messages(chat)).toContainText(QUESTION)
    await expect(messages(chat)).toContainText(ANSWER)
    await expect(chat.getByRole('heading', { level: 2, name: QUESTION })).toBeVisible()
  }
  await isThere()
  await chat.reload()
  await isThere()
})
