/** Writes the scan's renderings, and last `result.json`, which names them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { REPORT } from './dependency-check.ts'
import { scanHtml } from './html.ts'
import { scanMarkdown } from './markdown.ts'
import type { ScanResult } from './result.ts'
import { sarif, type Manifest } from './sarif.ts'

/** What an earlier run left must not be taken for this one's. */
export const FILES = ['result.json', 'report.md', 'report.html', 'results.sarif', REPORT] as const

/** @returns the result as it was written, with its artifacts */
export function writeScan(result: ScanResult, folder: string, out: string): ScanResult {
  const save = (file: (typeof FILES)[number], text: string): void => writeFileSync(join(out, file), text)
  save('report.md', scanMarkdown(result))
  save('report.html', scanHtml(result))
  if (result.whole) {
    save('results.sarif', JSON.stringify(sarif(result, manifestOf(folder)), undefined, 2))
  }
  const artifacts = FILES.flatMap((file) => {
    const path = join(out, file)
    if (!existsSync(path)) return []
    const content = readFileSync(path)
    const sha256 = new Bun.CryptoHasher('sha256').update(content).digest('hex')
    return [{ file, sha256, bytes: content.byteLength }]
  })
  const written = { ...result, artifacts }
  save('result.json', `${JSON.stringify(written, undefined, 2)}\n`)
  return written
}

function manifestOf(folder: string): Manifest {
  const names = ['package-lock.json', 'npm-shrinkwrap.json', 'bun.lock', 'package.json']
  const name = names.find((candidate) => existsSync(join(folder, candidate))) ?? 'package.json'
  const file = join(folder, name)
  const fromHere = relative(process.cwd(), file)
  // Outside of the repository there is no path that code scanning could show.
  const path = fromHere.startsWith('..') ? basename(file) : fromHere
  return { path, lines: existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [] }
}
