/**
 * OWASP Dependency-Check: its command line on PATH, else its container image. The command line and its exit codes
 * are those of App.java and CliParser.java in github.com/dependency-check/DependencyCheck (12.x).
 *
 * The NVD key goes in by a properties file (`nvd.api.key`, `--propertyfile`): `--nvdApiKey` would show it to
 * everybody who lists processes. OSS Index refuses anonymous users since 2025, and npm's old audit endpoint, which
 * the Node audit analyzer asks, comes and goes; `npm audit` covers it. So both are off.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Command, Output } from '../command.ts'
import { DeployError } from '../errors.ts'
import { temporaryFolder } from '../temporary.ts'
import type { Finding } from './finding.ts'
import { readFindings } from './dependency-check-report.ts'
import { writeReadableLock } from './readable-lock.ts'
import { last, mustHaveRun } from './report.ts'

type Variables = Readonly<Record<string, string | undefined>>

export interface Places {
  /** What is scanned; absolute, as are the others. */
  folder: string
  /** The folder of a lockfile that it can read. */
  lock?: string
  /** The folder that the report is written to. */
  report: string
  /** Its copy of the NVD's data, kept between runs. */
  data: string
  /** Holds the NVD key, if there is one. */
  properties?: string
}

export const REPORT = 'dependency-check-report.json'

/** Pure. */
export function dependencyCheck(
  program: string,
  { folder, lock, report, data, properties }: Places,
): Command {
  return [
    program,
    '--scan',
    folder,
    ...(lock === undefined ? [] : ['--scan', lock]),
    '--out',
    report,
    '--format',
    'JSON',
    '--data',
    data,
    '--disableOssIndex',
    '--disableNodeAudit',
    ...(properties === undefined ? [] : ['--propertyfile', properties]),
  ]
}

/** Where a container has it. */
const LOCK_INSIDE = '/lock'

/** The same in a container, as the user who runs it, so that the report and the data are theirs. Pure. */
export function containerised(image: string, user: string, places: Places): Command {
  const inside = { folder: '/src', report: '/report', data: '/usr/share/dependency-check/data' }
  const secret = places.properties === undefined ? {} : { properties: '/run/dependency-check.properties' }
  const lock = places.lock === undefined ? {} : { lock: LOCK_INSIDE }
  const [, ...flags] = dependencyCheck('', { ...inside, ...lock, ...secret })
  return [
    ...(['docker', 'run', '--rm', '--user', user] as const),
    ...mount(places.folder, inside.folder, true),
    ...(places.lock === undefined ? [] : mount(places.lock, LOCK_INSIDE, true)),
    ...mount(places.report, inside.report),
    ...mount(places.data, inside.data),
    ...(secret.properties && places.properties ? mount(places.properties, secret.properties, true) : []),
    image,
    ...flags,
  ]
}

/** `--mount` takes a line of CSV: a path with a comma or a quote in it is quoted. */
function mount(source: string, target: string, readonly = false): string[] {
  const field = /[",\n]/.test(source) ? `"source=${source.replaceAll('"', '""')}"` : `source=${source}`
  return ['--mount', `type=bind,${field},target=${target}${readonly ? ',readonly' : ''}`]
}

export type Run = (command: Command) => Promise<Output>

/**
 * Runs it and reads what it found.
 * @throws DeployError when there is none, its data cannot be reached, or its report cannot be believed
 */
export async function runDependencyCheck(
  { folder, report, image }: { folder: string; report: string; image: string },
  variables: Variables,
  run: Run,
): Promise<Finding[]> {
  const program = ['dependency-check', 'dependency-check.sh'].find((name) => isOnPath(name, variables))
  if (program === undefined && !isOnPath('docker', variables)) {
    throw new DeployError(
      'neither dependency-check, dependency-check.sh nor docker is on PATH: install one, or --skip dependency-check --reason TEXT',
    )
  }
  // It would take them for wildcards and scan something else.
  if (/[*?]/.test(folder)) throw new DeployError(`${folder} has * or ? in its name, a wildcard for it`)
  const data = dataFolder(variables)
  mkdirSync(data, { recursive: true })
  rmSync(join(report, REPORT), { force: true })
  using readable = temporaryFolder()
  const lock = writeReadableLock(folder, readable.path)
  using secret = temporaryFolder()
  const key = variables.NVD_API_KEY
  const properties = key ? writeKey(join(secret.path, 'nvd.properties'), key) : undefined
  const places = {
    folder,
    report,
    data,
    ...(lock && { lock: lock.folder }),
    ...(properties !== undefined && { properties }),
  }
  const { uid, gid } = userInfo()
  const command = program ? dependencyCheck(program, places) : containerised(image, `${uid}:${gid}`, places)
  const output = await run(command)
  mustHaveRun(command, output)
  const seen = program ? lock : lock && { ...lock, folder: LOCK_INSIDE }
  return readFindings(
    output.exitCode,
    readText(join(report, REPORT), output),
    program ? folder : '/src',
    seen,
  )
}

const isOnPath = (program: string, { PATH = '' }: Variables): boolean => Bun.which(program, { PATH }) !== null

/** `DEPENDENCY_CHECK_DATA`, which CI caches; else with the user's other caches. */
function dataFolder({ DEPENDENCY_CHECK_DATA, XDG_CACHE_HOME }: Variables): string {
  return DEPENDENCY_CHECK_DATA ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'dependency-check')
}

/** Only its owner can read it. In a properties file `\u0041` is a letter, whatever else it would mean there. */
function writeKey(file: string, key: string): string {
  const escaped = key.replace(/[^\w-]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  writeFileSync(file, `nvd.api.key=${escaped}\n`, { mode: 0o600 })
  chmodSync(file, 0o600)
  return file
}

/** What the codes mean that leave no report, or none that counts. */
const meanings: Record<number, string> = {
  1: 'a file was not found',
  2: 'it did not understand its arguments',
  4: 'its properties cannot be read',
  8: 'its data cannot be updated',
  9: 'its database failed',
  11: 'its database failed',
  12: 'it could not write its report',
  13: 'the analysis failed, mostly because its data cannot be reached',
}

/** 14 and 15 leave a report, which says more than they do. */
function readText(file: string, { exitCode, stdout, stderr }: Output): string {
  const said = last(stderr.trim() === '' ? stdout : stderr)
  if (![0, 14, 15].includes(exitCode)) {
    const why = meanings[exitCode] ?? 'no code that it is known for'
    throw new DeployError(`Dependency-Check ended with ${exitCode} (${why}): ${said}`)
  }
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new DeployError(`Dependency-Check ended with ${exitCode} and left no report: ${said}`)
  }
}
