/**
 * Takes secrets out of evidence before anybody keeps it. A trace holds what was typed, three times over, and every
 * cookie; so does the HTML report, whose data is an archive inside the page.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unzipSync, zipSync } from 'fflate'
import { isText, type Secrets } from '../lib/secrets.ts'

/**
 * Rewrites each file of a folder that holds a secret, also one that only the folder itself tells of: a session in a
 * trace's headers. A file that cannot be looked into is removed.
 * @throws what the signal was aborted with, between two files
 */
export async function redactFolder(folder: string, secrets: Secrets, signal?: AbortSignal): Promise<void> {
  if (!existsSync(folder)) return
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
  // First all of them are read: what one shows by itself, another may say whose it is.
  for (const pass of [learned, redactedFile]) {
    for (const path of paths) {
      signal?.throwIfAborted()
      try {
        const data = await readFile(path)
        const clean = pass(path, data, secrets)
        if (clean !== data) await writeFile(path, clean)
      } catch {
        await rm(path, { force: true }) // perhaps the first pass did
      }
    }
  }
}

function learned(path: string, data: Buffer, secrets: Secrets): Buffer {
  opened(path, data, (inner) => {
    if (isText(inner)) secrets.learn(inner.toString('latin1'))
    return inner
  })
  return data
}

function redactedFile(path: string, data: Buffer, secrets: Secrets): Buffer {
  return opened(path, data, (inner) => secrets.redactBytes(inner))
}

/** What becomes of a file when `use` is applied to it, and to each file in it where it is an archive or holds one. */
function opened(name: string, data: Buffer, use: (data: Buffer) => Buffer): Buffer {
  if (name.endsWith('.zip')) {
    const entries = Object.entries(unzipSync(data)).map(
      ([entry, bytes]) => [entry, Buffer.from(bytes)] as const,
    )
    const clean = entries.map(([entry, bytes]) => [entry, opened(entry, bytes, use)] as const)
    const same = clean.every(([, bytes], i) => bytes === entries[i]?.[1])
    return same ? data : Buffer.from(zipSync(Object.fromEntries(clean)))
  }
  const clean = use(data)
  if (!name.endsWith('.html')) return clean
  const text = clean.toString('latin1')
  const archive = /(data:application\/zip;base64,)([A-Za-z0-9+/=]+)/g
  const page = text.replace(archive, (_, head: string, inside: string) => {
    return head + opened('.zip', Buffer.from(inside, 'base64'), use).toString('base64')
  })
  return page === text ? clean : Buffer.from(page, 'latin1')
}
