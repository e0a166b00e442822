/**
 * Folders for what is needed only while something runs; some of it is secret. They are removed when they are left,
 * when this process ends, and, where it was killed by force, by the next one on this machine.
 */
import { lstatSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TemporaryFolder extends Disposable {
  /** Without links, so that paths relative to it are what they seem. */
  readonly path: string
}

/** With the machine's name: in a /tmp that containers share, another one's process has a number of ours. */
const PREFIX = `deploy-scripts-${hostname().replaceAll(/[^\w.]/g, '_')}-`

const made = new Set<string>()
let looked = false

process.on('exit', () => made.forEach(removeQuietly))

/** Made for this user alone: `using folder = temporaryFolder()`. */
export function temporaryFolder(): TemporaryFolder {
  const parent = realpathSync(tmpdir())
  if (!looked) removeOrphans(parent)
  looked = true
  const path = mkdtempSync(join(parent, `${PREFIX}${process.pid}-`))
  made.add(path)
  return { path, [Symbol.dispose]: () => removeFolder(path) }
}

/** A program that was just ended may still have been writing there. */
function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  made.delete(path)
}

/** What processes that are gone have left, as far as it is this user's. */
function removeOrphans(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(PREFIX)) continue
    const pid = Number.parseInt(name.slice(PREFIX.length), 10)
    const path = join(parent, name)
    if (pid > 0 && !isAlive(pid) && isOwn(path)) removeQuietly(path)
  }
}

/** What cannot be removed now is left to the next run. */
function removeQuietly(path: string): void {
  try {
    removeFolder(path)
  } catch {
    // nobody is there to be told, or it is not what this run is about
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return Error.isError(error) && 'code' in error && error.code !== 'ESRCH'
  }
}

const isOwn = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.()
