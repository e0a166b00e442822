/** The security scan: asks each scanner, merges what they found, judges it, and writes it down. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Shell } from '../command.ts'
import { DeployError } from '../errors.ts'
import { scanners, type Scanner, type ScanSettings } from '../settings/scan.ts'
import type { Log } from '../log.ts'
import { bunAudit, readBunAudit, refuseNarrowed } from './bun-audit.ts'
import { runDependencyCheck, type Run } from './dependency-check.ts'
import { merge, type Finding } from './finding.ts'
import { npmAudit, readNpmAudit } from './npm-audit.ts'
import { judge, type Answers, type ScanResult } from './result.ts'
import { plain, redactor } from '../text.ts'
import type { Waiver } from './waivers.ts'
import { FILES } from './write.ts'

export interface ScanWorld {
  shell: Shell
  log: Log
  signal: AbortSignal
  variables: Readonly<Record<string, string | undefined>>
  now(): number
  /** Where reports are written. */
  out: string
  /** What is scanned, as git has it. */
  commit: string
}

/** What is asked of the scan: the settings, what is not to be run and why, and what is accepted. */
export interface Request {
  settings: ScanSettings
  skip: ReadonlyMap<Scanner, string>
  waivers: readonly Waiver[]
}

/** @throws the signal's reason; what a scanner cannot do is in the result */
export async function securityScan(
  { settings, skip, waivers }: Request,
  world: ScanWorld,
): Promise<ScanResult> {
  const { log, signal, out, commit } = world
  const folder = resolve(settings.folder)
  const redact = redactor(world.variables)
  const show = (line: string): void => log.info(`│ ${plain(redact(line))}`)
  const startedAt = world.now()
  mkdirSync(out, { recursive: true })
  for (const file of FILES) rmSync(join(out, file), { force: true })

  const commands: ScanResult['commands'] = []
  const answers: Answers = { findings: [], failed: [], skipped: [], missed: 0 }
  for (const scanner of scanners) {
    const isAsked = settings.scanners.includes(scanner)
    const reason = skip.get(scanner) ?? (isAsked ? undefined : 'not in scan.scanners')
    if (reason !== undefined) {
      answers.missed += Number(isAsked)
      answers.skipped.push({ scanner, reason: plain(reason) })
      log.warn(`${scanner} is skipped: ${plain(reason)}`)
      continue
    }
    log.step(`Ask ${scanner}`)
    const run: Run = async (command) => {
      const started = world.now()
      const output = await world.shell.write(command, {
        timeout: settings.timeout,
        signal,
        // The audits' standard output is the report itself.
        onLine: (line, stream) => (scanner === 'audit' && stream === 'stdout' ? undefined : show(line)),
      })
      signal.throwIfAborted()
      commands.push({ scanner, command: [...command], exitCode: output.exitCode, ms: world.now() - started })
      return output
    }
    try {
      const image = settings.image
      const found =
        scanner === 'audit'
          ? await audit(folder, run)
          : await runDependencyCheck({ folder, report: resolve(out), image }, world.variables, run)
      answers.findings.push(...found)
    } catch (error) {
      if (signal.aborted || !isExpected(error)) throw error
      const why = plain(redact(`${scanner}: ${error.message}`), 600)
      answers.failed.push(why)
      log.warn(why)
    }
  }
  log.done()
  if (answers.skipped.length === scanners.length) answers.failed.push('no scanner was asked')
  answers.findings = merge(answers.findings)
  const verdict = judge(answers, { failOn: settings.failOn, waivers, now: startedAt })
  const at = new Date(startedAt).toISOString()
  const ms = world.now() - startedAt
  return { stage: 'security-scan', ...verdict, startedAt: at, ms, commit, commands, artifacts: [] }
}

/** What was foreseen, or a file that cannot be read or written. */
function isExpected(error: unknown): error is Error {
  return error instanceof DeployError || (error instanceof Error && 'syscall' in error)
}

/** Each lockfile is asked about by its own package manager: both may be there. @throws DeployError */
async function audit(folder: string, run: Run): Promise<Finding[]> {
  const read = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined
  const npmLock = read('npm-shrinkwrap.json') ?? read('package-lock.json')
  const bunLock = read('bun.lock')
  if (npmLock === undefined && bunLock === undefined) {
    const why = read('bun.lockb') === undefined ? 'has no lockfile' : 'has a binary bun.lockb alone'
    throw new DeployError(`${folder} ${why}: bun.lock or package-lock.json says what would be installed`)
  }
  const findings: Finding[] = []
  if (npmLock !== undefined) {
    findings.push(...readNpmAudit(await run(npmAudit(folder)), npmLock, read('package.json') ?? ''))
  }
  if (bunLock !== undefined) {
    refuseNarrowed(bunSettings(folder))
    findings.push(...readBunAudit(await run(bunAudit(folder)), bunLock))
  }
  return findings
}

/** The files that `bun audit` takes settings from. */
function bunSettings(folder: string): { file: string; text: string }[] {
  const files = [folder, homedir()].flatMap((place) => [
    join(place, place === folder ? 'bunfig.toml' : '.bunfig.toml'),
    join(place, '.npmrc'),
  ])
  return files.filter(existsSync).map((file) => ({ file, text: readFileSync(file, 'utf8') }))
}
