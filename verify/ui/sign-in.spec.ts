import type { Page } from '@playwright/test'
import { account, call, expect, test } from './fixtures.ts'

async function signIn(page: Page, name: string, password: string): Promise<void> {
  await page.goto('/')
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

test('the right password signs in', async ({ page }) => {
  const { name, password } = account()
  await signIn(page, name, password)
  await expect(page.getByText(`Signed in as ${name}`)).toBeVisible()
  await expect(page.getByRole('button', { name: 'New conversation' })).toBeVisible()
  await expect(page.getByLabel('Password')).toBeHidden()
})

test.describe('a wrong password', () => {
  test.use({ tolerated: [/status of 401/] })

  test('does not sign in, and says so', async ({ page, context }) => {
    await signIn(page, account().name, 'not-the-password')
    await expect(page.getByRole('alert')).toHaveText('Name or password is wrong.')
    await expect(page.getByRole('button', { name: 'New conversation' })).toBeHidden()
    expect(await call(context, 'GET', '/api/me'), 'status of /api/me').toBe(401)
  })
})

test('signing out ends the session', async ({ chat, context, browser }) => {
  // The browser forgets its cookie. Whoever kept a copy must be refused as well.
  const copy = await browser.newContext({ storageState: await context.storageState() })
  expect(await call(copy, 'GET', '/api/me'), 'status of /api/me before signing out').toBe(200)
  await chat.getByRole('button', { name: 'Sign out' }).click()
  await expect(chat.getByRole('button', { name: 'Sign in' })).toBeVisible()
  expect(await call(copy, 'GET', '/api/me'), 'status of /api/me after signing out').toBe(401)
  await copy.close()
})
