import { expect, test } from './fixtures.ts'

/** How much wider than the screen the page is, in CSS pixels. */
const OVERHANG = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'

const LONG = 'A phone sends one longwordthatdoesnotfitonthescreenofanyphone and hello to the deployment check'

test('the page loads without console errors or failed requests', async ({ page, complaints }) => {
  const failed: string[] = []
  page.on('response', (response) => {
    if (!response.ok() && response.status() !== 304) failed.push(`${response.status()} ${response.url()}`)
  })
  // Not until its network is idle: that of a page that asks again and again never is.
  await page.goto('/')
  await expect(page).toHaveTitle(/\S/)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible()
  expect([...failed, ...complaints], 'failed requests and complaints of the browser').toEqual([])
})

test.describe('on a phone', () => {
  test.use({ viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true })

  test('a message can be sent, and nothing is wider than the screen', async ({ chat }) => {
    expect(await chat.evaluate(OVERHANG), 'pixels beyond the screen').toBe(0)
    await chat.getByRole('button', { name: 'New conversation' }).tap()
    await chat.getByLabel('Message', { exact: true }).fill(LONG)
    await chat.getByRole('button', { name: 'Send' }).tap()
    await expect(chat.getByRole('log')).toContainText('the last was "check"')
    await expect(chat.getByRole('heading', { name: LONG.slice(0, 40) })).toBeVisible()
    expect(await chat.evaluate(OVERHANG), 'pixels beyond the screen').toBe(0)
  })
})
