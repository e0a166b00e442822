import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findBrowser, INSTALL } from '../../verify/browser.ts'

const folder = mkdtempSync(join(tmpdir(), 'browser-test-'))
const path = (name: string): string => join(folder, name)

beforeAll(() => {
  for (const bin of ['one', 'two', 'empty']) mkdirSync(path(bin))
  for (const program of ['mine', 'own', 'one/google-chrome', 'two/chromium', 'two/google-chrome']) {
    writeFileSync(path(program), '#!/bin/sh\n')
    chmodSync(path(program), 0o755)
  }
  writeFileSync(path('no-program'), '')
  symlinkSync(path('nowhere'), path('dangling'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const PATH = `${path('empty')}:${path('one')}:${path('two')}`
const find = (variables: Record<string, string>, own: string[] = [], fetched = 'nowhere') =>
  findBrowser(variables, () => Promise.resolve(own.map(path)), path(fetched))

describe('the browser', () => {
  test.each<[string, Record<string, string>, string[], string]>([
    ['CHROMIUM_PATH before all others', { CHROMIUM_PATH: path('mine'), PATH }, ['own'], 'mine'],
    ["Playwright's own before the system's", { PATH }, ['nowhere', 'own'], 'own'],
    ['an empty CHROMIUM_PATH is none', { CHROMIUM_PATH: '', PATH }, ['own'], 'own'],
    ["the system's Chromium before its Chrome", { PATH }, ['nowhere'], 'two/chromium'],
    ["the system's Chrome", { PATH: path('one') }, [], 'one/google-chrome'],
    [
      'what is no program is none',
      { PATH: path('one') },
      ['no-program', 'dangling', '.'],
      'one/google-chrome',
    ],
  ])('%s', async (_, variables, own, found) => {
    expect(await find(variables, own)).toBe(path(found))
  })

  test('the one that was fetched, where there is no other', async () => {
    expect(await find({ PATH: path('empty') }, [], 'mine')).toBe(path('mine'))
    expect(await find({ PATH }, [], 'mine')).toBe(path('two/chromium'))
  })

  test.each(['nowhere', 'no-program', 'dangling', '.'])(
    'CHROMIUM_PATH that names no program is not replaced by another browser: %s',
    async (name) => {
      const asked = find({ CHROMIUM_PATH: path(name), PATH }, ['own'])
      expect(asked).rejects.toThrow(
        `CHROMIUM_PATH names no program: ${path(name)}. To install a browser: ${INSTALL}`,
      )
    },
  )

  test.each([{ PATH: path('empty') }, { PATH: '' }, {}])(
    'none at all names the command: %j',
    async (variables) => {
      expect(find(variables)).rejects.toThrow(
        `There is no Chromium or Chrome here. To install one: ${INSTALL}`,
      )
    },
  )

  test("Playwright's own is looked for where Playwright installs it", async () => {
    const places = { PATH, PLAYWRIGHT_BROWSERS_PATH: path('empty') }
    const child = Bun.spawnSync(
      [
        process.execPath,
        '-e',
        `import { findBrowser } from './verify/browser.ts'; console.log(await findBrowser(process.env))`,
      ],
      { cwd: join(import.meta.dir, '../..'), env: places },
    )
    expect(child.stdout.toString().trim()).toBe(path('two/chromium'))
  })

  describe('run as a program', () => {
    const root = join(import.meta.dir, '../..')
    const run = (env: Record<string, string>, ...command: string[]) => {
      const ended = Bun.spawnSync([process.execPath, ...command], { cwd: root, env })
      return [ended.exitCode, ended.stdout.toString().trim(), ended.stderr.toString().trim()]
    }

    test("names Playwright's headless one before its whole one", () => {
      const env = { PATH: path('empty'), PLAYWRIGHT_BROWSERS_PATH: path('playwright') }
      const asks = `import { chromium } from '@playwright/test'; console.log(chromium.executablePath())`
      const [, whole = ''] = run(env, '-e', asks)
      const [, revision] = /chromium-(\d+)/.exec(String(whole)) ?? []
      const headless = path(
        `playwright/chromium_headless_shell-${revision}/chrome-linux/chrome-headless-shell`,
      )
      for (const program of [String(whole), headless]) {
        mkdirSync(dirname(program), { recursive: true })
        writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 })
        expect(run(env, 'verify/browser.ts')).toEqual([0, program, ''])
      }
    })

    test('says why there is none, and fails', () =>
      expect(run({ PATH: path('empty'), CHROMIUM_PATH: path('nowhere') }, 'verify/browser.ts')).toEqual([
        1,
        '',
        `CHROMIUM_PATH names no program: ${path('nowhere')}. To install a browser: ${INSTALL}`,
      ]))
  })
})
