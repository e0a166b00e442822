/** The repository's files, without asking git: a source archive has none. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** This repository. */
export const ROOT = join(import.meta.dir, '..')

/** Everything under a folder that its .gitignore does not leave out, sorted; links are not followed. */
export function filesOf(root: string): string[] {
  const ignored = readFileSync(join(root, '.gitignore'), 'utf8').trim().split('\n')
  // Of what git knows in such a file, ours has names and wildcards; `name/` is a folder.
  const patterns = ignored.map((line) => new Bun.Glob(line.replace(/\/$/, '')))
  const leftOut = (name: string): boolean => name === '.git' || patterns.some((glob) => glob.match(name))
  const under = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter(({ name }) => !leftOut(name))
      .flatMap((entry) => {
        const path = join(folder, entry.name)
        return entry.isDirectory() ? under(path) : path
      })
  return under('.').toSorted()
}
