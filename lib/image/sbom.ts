/**
 * What an image is made of, as CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json): every package that the
 * lockfile installs in production, by its package URL, and which needs which. Development packages are not in the
 * image.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library'
import { z } from 'zod'
import { DeployError, Exit, sentence } from '../errors.ts'
import { parseJson } from '../json.ts'
import { artifactOf, type Artifact } from '../stages/stage.ts'

export interface Package {
  name: string
  /** None of what comes from git or a folder, in bun.lock. */
  version?: string
  /** Subresource integrity of its tarball, such as `sha512-…` in base64. */
  integrity?: string
  /** Where it comes from, if the lockfile says so: an address of a tarball, or of a repository with its commit. */
  from?: string
  /** Package URLs of what it needs. */
  needs: string[]
}

/** What lockfiles install in production. */
export interface Installed {
  packages: Package[]
  /** Package URLs of what the application itself needs. */
  direct: string[]
}

/** Of several lockfiles, each package once. @throws DeployError 2 when one is not there, 1 when it is none */
export function readLockfiles(folder: string, files: readonly string[]): Installed {
  const all = files.map((file) => {
    const path = join(folder, file)
    if (!existsSync(path)) throw new DeployError(`There is no lockfile ${path} (stages.docker)`, Exit.usage)
    return readLockfile(file, readFileSync(path, 'utf8'))
  })
  return together(
    all.flatMap(({ packages }) => packages),
    all.flatMap(({ direct }) => direct),
  )
}

/** One package may be installed in several places, with others within its reach. */
function together(packages: readonly Package[], direct: readonly string[]): Installed {
  const once = Map.groupBy(packages, purl)
  const merged = [...once.values()].flatMap(([first, ...more]) =>
    first ? [{ ...first, needs: unique([first, ...more].flatMap(({ needs }) => needs)) }] : [],
  )
  return { packages: merged.toSorted((a, b) => (purl(a) < purl(b) ? -1 : 1)), direct: unique(direct) }
}

const unique = (names: readonly string[]): string[] => [...new Set(names)].toSorted()

/** @param file its name decides what it is: bun.lock or package-lock.json. @throws DeployError (1) */
export function readLockfile(file: string, content: string): Installed {
  const read = basename(file) === 'bun.lock' ? bunPackages : npmPackages
  try {
    const { packages, direct } = read(content)
    return together(packages, direct)
  } catch (error) {
    throw new DeployError(`${file} cannot be read as a lockfile: ${sentence(error)}`)
  }
}

const names = z.record(z.string(), z.string()).default({})

const needs = z.object({
  dependencies: names,
  optionalDependencies: names,
  peerDependencies: names,
  optionalPeers: z.array(z.string()).default([]),
})
type Needs = z.infer<typeof needs>

const bunLock = z.object({
  lockfileVersion: z.int().min(1),
  workspaces: z.record(z.string(), needs.extend({ name: z.string().optional() })),
  packages: z.record(z.string(), z.tuple([z.string()], z.json())).default({}),
})

/** What a package brings with it: of its peers, those that it cannot do without. */
const brought = ({
  dependencies,
  optionalDependencies,
  peerDependencies,
  optionalPeers,
}: Needs): string[] => [
  ...Object.keys(peerDependencies).filter((name) => !optionalPeers.includes(name)),
  ...Object.keys({ ...optionalDependencies, ...dependencies }),
]

/** Walks from what each workspace needs in production; a package's key says in which package it is nested. */
function bunPackages(content: string): Installed {
  const { workspaces, packages } = bunLock.parse(Bun.JSONC.parse(content))
  const reached = new Map<string, string[]>()
  const visit = (parent: string, needed: Needs): string[] =>
    brought(needed).flatMap((name) => {
      const key = nearest(packages, parent, name)
      if (key === undefined && name in needed.dependencies) throw new Error(`${name} is not in it`)
      if (key === undefined || isWorkspace(packages[key])) return []
      if (!reached.has(key)) {
        reached.set(key, [])
        reached.set(key, visit(key, needsOf(packages[key] ?? [])))
      }
      return [key]
    })
  // What a workspace has of its own is nested in its package's name, whatever its folder is called.
  const direct = Object.entries(workspaces).flatMap(([path, own]) =>
    visit(path === '' ? '' : (own.name ?? basename(path)), own),
  )
  const id = (key: string): string => purl(bunPackage(packages[key] ?? ['']))
  return {
    packages: [...reached].map(([key, keys]) => ({
      ...bunPackage(packages[key] ?? ['']),
      needs: keys.map(id),
    })),
    direct: direct.map(id),
  }
}

const isWorkspace = (entry: readonly unknown[] = []): boolean => /@workspace:/.test(String(entry[0]))

/** `name@1.2.3` is a registry's; else what is behind the name says where it comes from. */
function bunPackage([resolved = '', ...rest]: readonly unknown[]): Package {
  const [, name = '', source = ''] = /^(@?[^@]+)@(.+)$/.exec(String(resolved)) ?? []
  const integrity = rest.findLast((part) => typeof part === 'string' && /^sha\d+-/.test(part))
  return {
    name,
    needs: [],
    ...(/^\d/.test(source) ? { version: source } : { from: anonymous(source) }),
    ...(typeof integrity === 'string' && { integrity }),
  }
}

const needsOf = (entry: readonly unknown[]): Needs =>
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

const npmEntry = needs.omit({ optionalPeers: true }).extend({
  name: z.string().optional(),
  version: z.string().optional(),
  integrity: z.string().optional(),
  resolved: z.string().optional(),
  dev: z.boolean().default(false),
  link: z.boolean().default(false),
})

const npmLock = z.object({ lockfileVersion: z.int().min(2), packages: z.record(z.string(), npmEntry) })

/** npm marks what only development needs, and says where each package lies. */
function npmPackages(content: string): Installed {
  const { packages } = npmLock.parse(parseJson(content))
  const isInstalled = (path: string): boolean => {
    const { dev, link, version } = packages[path] ?? { dev: true }
    return path.includes('node_modules/') && !dev && !link && version !== undefined
  }
  const packageAt = (path: string): Package => {
    const { name, version, integrity, resolved } = packages[path] ?? {}
    return {
      name: name ?? path.split('node_modules/').at(-1) ?? path,
      needs: [],
      ...(version !== undefined && { version }),
      ...(integrity !== undefined && { integrity }),
      ...(resolved !== undefined && { from: anonymous(resolved) }),
    }
  }
  const needed = (path: string): string[] =>
    Object.keys({
      ...packages[path]?.peerDependencies,
      ...packages[path]?.optionalDependencies,
      ...packages[path]?.dependencies,
    }).flatMap((name) => {
      const found = within(packages, path, name)
      return found !== undefined && isInstalled(found) ? [purl(packageAt(found))] : []
    })
  const paths = Object.keys(packages)
  return {
    packages: paths.filter(isInstalled).map((path) => ({ ...packageAt(path), needs: needed(path) })),
    direct: paths.filter((path) => !path.includes('node_modules/')).flatMap(needed),
  }
}

/** As Node.js looks for it: in the package's own node_modules, then in each folder above. */
function within(packages: object, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.replace(/(^|\/)[^/]*$/, '')) {
    const path = [...(folder === '' ? [] : [folder]), 'node_modules', name].join('/')
    if (path in packages) return path
    if (folder === '') return undefined
  }
}

/**
 * https://github.com/package-url/purl-spec: every part percent-encoded, the slash of a scope kept. What does not come
 * from a registry says where it comes from.
 */
export function purl({ name, version, from }: Pick<Package, 'name' | 'version' | 'from'>): string {
  const path = name.split('/').map(encodeURIComponent).join('/')
  const at = version === undefined ? '' : `@${encodeURIComponent(version)}`
  const where = from === undefined || (/^https?:/.test(from) && version !== undefined) ? '' : qualifier(from)
  return `pkg:npm/${path}${at}${where}`
}

/** Without a login in it. */
const anonymous = (address: string): string => address.replace(/\/\/[^/@]*@/, '//')

/** A folder of this repository is no address. */
function qualifier(from: string): string {
  if (/^(file|link):|^\./.test(from)) return ''
  const address = from.replace(/^git(hub|lab)?:(?!\/\/)/, (_, host = 'hub') => `git+https://git${host}.com/`)
  const kind = /^https?:/.test(address) ? 'download_url' : 'vcs_url'
  return `?${kind}=${encodeURIComponent(address)}`
}

export interface Subject {
  image: string
  digest: string
  version: string
  /** ISO 8601, UTC */
  at: string
}

/** @param installed of all lockfiles; what comes with the base image is not among them. @returns its JSON */
export function billOfMaterials(installed: Installed, { image, digest, version, at }: Subject): string {
  const id = `pkg:oci/${encodeURIComponent(image.split('/').at(-1) ?? image)}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(image)}`
  const subject = new Models.Component(Enums.ComponentType.Container, image, {
    bomRef: id,
    version,
    purl: id,
  })
  const components = new Map(installed.packages.map((found) => [purl(found), componentOf(found)]))
  const refs = (ids: readonly string[]) => ids.flatMap((one) => components.get(one)?.bomRef ?? [])
  for (const found of installed.packages)
    for (const ref of refs(found.needs)) components.get(purl(found))?.dependencies.add(ref)
  for (const ref of refs(installed.direct)) subject.dependencies.add(ref)
  const tool = new Models.Component(Enums.ComponentType.Application, 'deploy-scripts')
  const bom = new Models.Bom({
    serialNumber: `urn:uuid:${crypto.randomUUID()}`,
    metadata: new Models.Metadata({
      timestamp: new Date(at),
      component: subject,
      tools: new Models.Tools({ components: new Models.ComponentRepository([tool]) }),
    }),
    components: new Models.ComponentRepository(components.values()),
  })
  const factory = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6)
  return new Serialize.JsonSerializer(factory).serialize(bom, { sortLists: true, space: 2 })
}

/** The checksum is that of the tarball, not of what is unpacked of it: it stands with where that comes from. */
function componentOf(found: Package): Models.Component {
  const { name, version, integrity, from } = found
  const id = purl(found)
  const references = new Models.ExternalReferenceRepository()
  const url = from !== undefined && /^https?:/.test(from) ? from : id
  const sums = new Models.HashDictionary(hashes(integrity ?? ''))
  if (sums.size > 0 || url !== id)
    references.add(
      new Models.ExternalReference(url, Enums.ExternalReferenceType.Distribution, { hashes: sums }),
    )
  return new Models.Component(Enums.ComponentType.Library, name, {
    bomRef: id,
    purl: id,
    externalReferences: references,
    ...(version !== undefined && { version }),
  })
}

/** Writes it to a file. */
export function writeBill(file: string, installed: Installed, subject: Subject): Artifact {
  writeFileSync(file, `${billOfMaterials(installed, subject)}\n`)
  return artifactOf(file)
}

const ALGORITHMS: Readonly<Record<string, Enums.HashAlgorithm>> = {
  sha1: Enums.HashAlgorithm['SHA-1'],
  sha256: Enums.HashAlgorithm['SHA-256'],
  sha384: Enums.HashAlgorithm['SHA-384'],
  sha512: Enums.HashAlgorithm['SHA-512'],
}

function hashes(integrity: string): [Enums.HashAlgorithm, string][] {
  return integrity.split(/\s+/).flatMap((one) => {
    const [, name = '', base64 = ''] = /^(\w+)-([A-Za-z0-9+/=]+)/.exec(one) ?? []
    const alg = ALGORITHMS[name]
    return alg === undefined ? [] : [[alg, Buffer.from(base64, 'base64').toString('hex')]]
  })
}
