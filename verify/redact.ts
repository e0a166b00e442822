/**
 * Takes secrets out of evidence before anybody keeps it. A trace holds what was typed, three times over; so
 * does the HTML report, whose data is an archive inside the page.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unzipSync, zipSync } from 'fflate'

const HIDDEN = '***'

/** A secret as it is written in text, JSON, JSON in JSON, URLs, forms and HTML. */
function spellings(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1)
  const form = new URLSearchParams({ '': secret }).toString().slice(1)
  const all = [
    secret,
    json,
    JSON.stringify(json).slice(1, -1),
    encodeURIComponent(secret),
    form,
    Bun.escapeHTML(secret),
  ]
  return [...new Set(all)].toSorted((a, b) => b.length - a.length)
}

/** The text without the secrets, however they are spelt. Pure. */
export function redacted(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret !== '')
    .flatMap(spellings)
    .reduce((rest, spelling) => rest.replaceAll(spelling, HIDDEN), text)
}

/** Bytes are searched as they are: an image must come out as it went in. */
function redactedBytes(data: Buffer, secrets: readonly string[]): Buffer {
  const text = data.toString('latin1')
  const bytes = secrets.map((secret) => Buffer.from(secret).toString('latin1'))
  const clean = redacted(redacted(text, bytes), secrets)
  return clean === text ? data : Buffer.from(clean, 'latin1')
}

/** Rewrites each file of a folder that holds a secret. A file that cannot be looked into is removed. */
export async function redactFolder(folder: string, secrets: readonly string[]): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const data = await readFile(path)
    try {
      const clean = redactedFile(entry.name, data, secrets)
      if (clean !== data) await writeFile(path, clean)
    } catch {
      await rm(path)
    }
  }
}

function redactedFile(name: string, data: Buffer, secrets: readonly string[]): Buffer {
  if (name.endsWith('.zip')) return redactedArchive(data, secrets)
  const clean = redactedBytes(data, secrets)
  if (!name.endsWith('.html')) return clean
  const text = clean.toString('latin1')
  const page = text.replace(
    /(data:application\/zip;base64,)([A-Za-z0-9+/=]+)/g,
    (_, head: string, archive: string) => {
      return head + redactedArchive(Buffer.from(archive, 'base64'), secrets).toString('base64')
    },
  )
  return page === text ? clean : Buffer.from(page, 'latin1')
}

/** The same archive when nothing in it was secret. */
function redactedArchive(archive: Buffer, secrets: readonly string[]): Buffer {
  const entries = Object.entries(unzipSync(archive)).map(([name, data]) => [name, Buffer.from(data)] as const)
  const clean = entries.map(([name, data]) => [name, redactedBytes(data, secrets)] as const)
  if (clean.every(([, data], i) => data === entries[i]?.[1])) return archive
  return Buffer.from(zipSync(Object.fromEntries(clean)))
}
