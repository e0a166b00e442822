import { afterAll, beforeAll, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'

const root = join(import.meta.dir, '../..')
const folder = mkdtempSync(join(tmpdir(), 'fetch-browser-test-'))
const bin = join(folder, 'bin')
const to = join(folder, 'place/chromium')

function program(name: string, text: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`)
  chmodSync(join(bin, name), 0o755)
}

/** An archive as the package holds it, with one file. */
function archive(name: string): Uint8Array<ArrayBuffer> {
  const made = Bun.spawnSync(['tar', '-C', folder, '-c', name])
  return Uint8Array.from(brotliCompressSync(made.stdout))
}

/** The package's files, where the npm of this test copies them from. */
beforeAll(() => {
  mkdirSync(bin)
  const inside = join(folder, 'package/node_modules/@sparticuz/chromium/bin')
  mkdirSync(inside, { recursive: true })
  writeFileSync(join(folder, 'part'), 'a part')
  for (const part of ['fonts', 'swiftshader', 'al2023'])
    writeFileSync(join(inside, `${part}.tar.br`), archive('part'))
  const chrome = '#!/bin/sh\necho "$LD_LIBRARY_PATH $FONTCONFIG_PATH $*"\n'
  writeFileSync(join(inside, 'chromium.br'), Uint8Array.from(brotliCompressSync(chrome)))
})
afterAll(() => rmSync(folder, { recursive: true }))

const fetched = () =>
  Bun.spawnSync(
    [
      process.execPath,
      '-e',
      `import { fetchBrowser } from './verify/fetch-browser.ts'
      await fetchBrowser('${to}').catch(({ message }) => { console.error(message); process.exitCode = 1 })`,
    ],
    { cwd: root, env: { PATH: `${bin}:${process.env.PATH}` } },
  )

/** npm has it for nothing else. */
const there = test.skipIf(process.platform !== 'linux' || process.arch !== 'x64')

there(
  'what npm brings becomes a program with its libraries and fonts, in the place of what was there',
  () => {
    mkdirSync(join(folder, 'place'))
    writeFileSync(join(folder, 'place/old'), '')
    program('npm', `echo "$@" > ${folder}/asked; cp -r ${folder}/package/node_modules "$3"`)
    const ended = fetched()
    expect([ended.exitCode, ended.stderr.toString()]).toEqual([0, ''])
    // Its own scripts never run, and it stays out of package.json.
    const asked = Bun.spawnSync(['cat', join(folder, 'asked')]).stdout.toString()
    expect(asked).toMatch(
      /^install --prefix .*\.new --no-save .*--ignore-scripts .*@sparticuz\/chromium@\d+\.\d+\.\d+\n$/,
    )
    const place = join(folder, 'place')
    expect(readdirSync(place).toSorted()).toEqual(['al2023', 'chrome', 'chromium', 'fonts', 'part'])
    expect(readdirSync(join(place, 'fonts')).toSorted()).toEqual(['fonts.conf', 'part'])
    const { stdout } = Bun.spawnSync([to, '--headless', 'about:blank'], { env: { PATH: process.env.PATH } })
    expect(stdout.toString()).toBe(`${place}/al2023/lib ${place}/fonts --headless about:blank\n`)
  },
)

there('what npm says is told where it cannot, and what was there stays', () => {
  program('npm', 'echo "no such host" >&2; exit 1')
  const ended = fetched()
  expect([ended.exitCode, ended.stderr.toString()]).toEqual([
    1,
    'npm could not bring Chromium: no such host\n',
  ])
  expect(existsSync(to)).toBe(true)
})

test('nothing is brought where there is a browser', () => {
  program('npm', `touch ${folder}/called; exit 1`)
  program('chromium', '')
  const env = { PATH: `${bin}:${process.env.PATH}`, CHROMIUM_PATH: join(bin, 'chromium') }
  const ended = Bun.spawnSync([process.execPath, 'verify/fetch-browser.ts'], { cwd: root, env })
  expect([ended.exitCode, ended.stdout.toString(), ended.stderr.toString()]).toEqual([0, '', ''])
  expect(existsSync(join(folder, 'called'))).toBe(false)
})
