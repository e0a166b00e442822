/**
 * A lockfile that Dependency-Check reads. Of JavaScript it knows package-lock.json alone, and only beside a folder
 * node_modules; with bun.lock it looks at what package.json names in `dependencies`, and calls that all
 * (NodePackageAnalyzer.java). It leaves out what is optional and not installed, so nothing is called that.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { parseJson } from '../json.ts'
import { installed } from './bun-audit.ts'

export interface Lock {
  /** Where Dependency-Check is to look as well. */
  folder: string
  /** What it was made of, such as bun.lock. */
  file: string
  /** Names of the packages in it. */
  packages: ReadonlySet<string>
}

const npmLock = z.object({
  packages: z.record(z.string(), z.object({ name: z.string().optional(), version: z.string().optional() })),
})

/** Writes it into an empty folder. @returns undefined where there is no lockfile. @throws DeployError */
export function writeReadableLock(from: string, folder: string): Lock | undefined {
  const file = ['npm-shrinkwrap.json', 'package-lock.json', 'bun.lock'].find((name) =>
    existsSync(join(from, name)),
  )
  if (file === undefined) return undefined
  const text = readFileSync(join(from, file), 'utf8')
  const entries = file === 'bun.lock' ? ofBun(text) : ofNpm(text)
  const packages = Object.fromEntries(entries.map(({ path, version }) => [path, { version }]))
  const root = { name: 'lockfile', version: '0.0.0' }
  mkdirSync(join(folder, 'node_modules'))
  const lock = { ...root, lockfileVersion: 3, packages: { '': root, ...packages } }
  // Lockfiles of version 1 list no packages by their place; they are taken as they are.
  const written = entries.length === 0 && file !== 'bun.lock' ? text : JSON.stringify(lock, undefined, 2)
  writeFileSync(join(folder, 'package-lock.json'), written)
  return { folder, file, packages: new Set(entries.map(({ path }) => nameOf(path))) }
}

const nameOf = (path: string): string => path.split('node_modules/').at(-1) ?? path

/** `parent/@scope/child` is what npm has at `node_modules/parent/node_modules/@scope/child`. */
function ofBun(text: string): { path: string; version: string }[] {
  return installed(text)
    .filter(({ version }) => /^\d/.test(version))
    .map(({ path, name, version }) => {
      const parents = (path.match(/(@[^/]+\/)?[^/]+/g) ?? []).slice(0, -1)
      return { path: [...parents, name].map((part) => `node_modules/${part}`).join('/'), version }
    })
}

function ofNpm(text: string): { path: string; version: string }[] {
  const { data } = npmLock.safeParse(parseJson(text))
  return Object.entries(data?.packages ?? {}).flatMap(([path, { name, version }]) =>
    path.includes('node_modules/') && version
      ? [{ path: name ? path.slice(0, -nameOf(path).length) + name : path, version }]
      : [],
  )
}
