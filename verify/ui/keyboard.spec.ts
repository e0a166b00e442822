import type { Locator, Page } from '@playwright/test'
import { account, expect, test } from './fixtures.ts'

/** Moves the focus as a person without a mouse does. */
async function tabTo(page: Page, wanted: Locator): Promise<void> {
  await expect(wanted).toBeVisible()
  for (let presses = 0; presses < 30; presses++) {
    await page.keyboard.press('Tab')
    if (await wanted.and(page.locator(':focus')).isVisible()) return
  }
  await expect(wanted, 'the Tab key leads to it').toBeFocused({ timeout: 1 })
}

test('the keyboard is enough', async ({ page }) => {
  const { name, password } = account()
  const button = (name: string): Locator => page.getByRole('button', { name })
  await page.goto('/')
  await tabTo(page, page.getByLabel('Name'))
  await page.keyboard.type(name)
  await tabTo(page, page.getByLabel('Password'))
  await page.keyboard.type(password)
  await page.keyboard.press('Enter')

  await expect(button('New conversation')).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.getByLabel('Message', { exact: true })).toBeFocused()
  await page.keyboard.type('only keys')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('log')).toContainText('the last was "keys"')

  page.once('dialog', (dialog) => void dialog.accept())
  await tabTo(page, button('Delete conversation'))
  await page.keyboard.press('Enter')
  await expect(button('New conversation')).toBeFocused()
  await tabTo(page, button('Sign out'))
  await page.keyboard.press('Enter')
  await expect(button('Sign in')).toBeVisible()
})
