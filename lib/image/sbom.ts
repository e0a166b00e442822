/**
 * What an image is made of, as CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json): every package that the
 * lockfile installs in production, by its package URL. Development packages are not in the image.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { DeployError, Exit, sentence } from '../errors.ts'
import { parseJson } from '../json.ts'
import { artifactOf, type Artifact } from '../stages/stage.ts'

export interface Package {
  name: string
  version: string
  /** Subresource integrity, such as `sha512-…` in base64. */
  integrity?: string
}

/** Of several lockfiles, each package once. @throws DeployError 2 when one is not there, 1 when it is none */
export function readLockfiles(folder: string, files: readonly string[]): Package[] {
  const all = files.flatMap((file) => {
    const path = join(folder, file)
    if (!existsSync(path)) throw new DeployError(`There is no lockfile ${path} (stages.docker)`, Exit.usage)
    return readLockfile(file, readFileSync(path, 'utf8'))
  })
  return [...new Map(all.map((found) => [purl(found), found])).values()]
}

/** @param file its name decides what it is: bun.lock or package-lock.json. @throws DeployError (1) */
export function readLockfile(file: string, content: string): Package[] {
  const read = basename(file) === 'bun.lock' ? bunPackages : npmPackages
  try {
    const packages = new Map(read(content).map((found) => [purl(found), found]))
    return [...packages.values()].toSorted((a, b) => (purl(a) < purl(b) ? -1 : 1))
  } catch (error) {
    throw new DeployError(`${file} cannot be read as a lockfile: ${sentence(error)}`)
  }
}

const names = z.record(z.string(), z.string()).default({})

const needs = z.object({ dependencies: names, optionalDependencies: names, peerDependencies: names })

const bunLock = z.object({
  lockfileVersion: z.int().min(1),
  workspaces: z.record(z.string(), needs),
  packages: z.record(z.string(), z.tuple([z.string()], z.json())).default({}),
})

/** Walks from what each workspace needs in production; a package's key says in which package it is nested. */
function bunPackages(content: string): Package[] {
  const { workspaces, packages } = bunLock.parse(Bun.JSONC.parse(content))
  const reached = new Set<string>()
  const visit = (parent: string, needed: z.infer<typeof needs>): void => {
    const all = { ...needed.peerDependencies, ...needed.optionalDependencies, ...needed.dependencies }
    for (const name of Object.keys(all)) {
      const key = nearest(packages, parent, name)
      if (key === undefined && name in needed.dependencies) throw new Error(`${name} is not in it`)
      if (key === undefined || reached.has(key)) continue
      reached.add(key)
      visit(key, needsOf(packages[key] ?? []))
    }
  }
  for (const [path, needed] of Object.entries(workspaces)) visit(path === '' ? '' : basename(path), needed)
  return [...reached].flatMap((key) => {
    const [resolved = '', ...rest] = packages[key] ?? []
    const [, name = '', version = ''] = /^(@?[^@]+)@(.+)$/.exec(resolved) ?? []
    if (version.startsWith('workspace:')) return []
    const integrity = rest.findLast((part) => typeof part === 'string' && /^sha\d+-/.test(part))
    return [{ name, version, ...(typeof integrity === 'string' && { integrity }) }]
  })
}

const needsOf = (entry: readonly unknown[]): z.infer<typeof needs> =>
  needs.parse(entry.find((part) => typeof part === 'object' && part !== null) ?? {})

/** `a/b`'s `c` is `a/b/c`, or else `a/c`, or else `c`. A scope is part of a name. */
function nearest(packages: object, parent: string, name: string): string | undefined {
  const path = parent.match(/(@[^/]+\/)?[^/]+/g) ?? []
  for (let depth = path.length; depth >= 0; depth--) {
    const key = [...path.slice(0, depth), name].join('/')
    if (key in packages) return key
  }
  return undefined
}

const npmLock = z.object({
  lockfileVersion: z.int().min(2),
  packages: z.record(
    z.string(),
    z.object({
      name: z.string().optional(),
      version: z.string().optional(),
      integrity: z.string().optional(),
      dev: z.boolean().default(false),
      link: z.boolean().default(false),
    }),
  ),
})

/** npm marks what only development needs, and says where each package lies. */
function npmPackages(content: string): Package[] {
  const { packages } = npmLock.parse(parseJson(content))
  return Object.entries(packages).flatMap(([path, { name, version, integrity, dev, link }]) => {
    const installed = path.split('node_modules/').at(-1) ?? ''
    if (!path.includes('node_modules/') || dev || link || version === undefined) return []
    return [{ name: name ?? installed, version, ...(integrity !== undefined && { integrity }) }]
  })
}

/** https://github.com/package-url/purl-spec: every part percent-encoded, the slash of a scope kept. */
export function purl({ name, version }: Package): string {
  const path = name.split('/').map(encodeURIComponent).join('/')
  return `pkg:npm/${path}@${encodeURIComponent(version)}`
}

export interface Subject {
  image: string
  digest: string
  version: string
  /** ISO 8601, UTC */
  at: string
}

/** @param packages of all lockfiles; what comes with the base image is not among them */
export function billOfMaterials(packages: readonly Package[], { image, digest, version, at }: Subject) {
  const id = `pkg:oci/${encodeURIComponent(image.split('/').at(-1) ?? image)}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(image)}`
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${crypto.randomUUID()}`,
    version: 1,
    metadata: {
      timestamp: at,
      component: { type: 'container', 'bom-ref': id, name: image, version, purl: id },
    },
    components: packages.map((found) => ({
      type: 'library',
      'bom-ref': purl(found),
      name: found.name,
      version: found.version,
      purl: purl(found),
      ...(found.integrity !== undefined && { hashes: hashes(found.integrity) }),
    })),
  }
}

/** Writes it to a file. */
export function writeBill(file: string, packages: readonly Package[], subject: Subject): Artifact {
  writeFileSync(file, `${JSON.stringify(billOfMaterials(packages, subject), undefined, 2)}\n`)
  return artifactOf(file)
}

const ALGORITHMS: Readonly<Record<string, string>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
}

function hashes(integrity: string): { alg: string; content: string }[] {
  return integrity.split(/\s+/).flatMap((one) => {
    const [, name = '', base64 = ''] = /^(\w+)-([A-Za-z0-9+/=]+)/.exec(one) ?? []
    const alg = ALGORITHMS[name]
    return alg === undefined ? [] : [{ alg, content: Buffer.from(base64, 'base64').toString('hex') }]
  })
}
