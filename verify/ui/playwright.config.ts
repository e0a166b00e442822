/**
 * How the specs of this folder are run. The gate decides what its verdict hangs on (reports, retries, workers,
 * deadline) and tells the rest by these variables; a person sets them by hand:
 *
 *     TARGET_URL=http://127.0.0.1:3000 VERIFY_ACCOUNT=alice VERIFY_PASSWORD=… bunx playwright test -c verify/ui
 */
import { defineConfig, devices } from '@playwright/test'

const { TARGET_URL = 'http://127.0.0.1:3000', CHROMIUM_PATH } = process.env
const { defaultBrowserType: _, ...desktop } = devices['Desktop Chrome'] ?? { userAgent: 'Chrome' }

export default defineConfig({
  testDir: '.',
  fullyParallel: true,
  timeout: 30_000,
  expect: { timeout: 8000 },
  use: {
    ...desktop,
    userAgent: `${desktop.userAgent} deploy-scripts`,
    baseURL: TARGET_URL,
    launchOptions: CHROMIUM_PATH ? { executablePath: CHROMIUM_PATH } : {},
    // What one asks goes past the specs: unmarked, and unseen when it fails.
    serviceWorkers: 'block',
    actionTimeout: 8000,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
  },
})
