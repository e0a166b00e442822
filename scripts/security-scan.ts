#!/usr/bin/env bun
/**
 * Looks for known vulnerabilities in what the application is made of: npm's or Bun's audit, and OWASP
 * Dependency-Check. Changes nothing but its reports, and Dependency-Check's copy of its data; with --release, the
 * proof that is kept beside that image.
 */
import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { writeSummary } from '../lib/cli/github.ts'
import { common, data, main, text } from '../lib/cli/cli.ts'
import { shell } from '../lib/command.ts'
import { renewScan } from '../lib/image/renew.ts'
import { loadPipeline } from '../lib/settings/load.ts'
import { DeployError, Exit } from '../lib/errors.ts'
import { checkOut, readSource, revision } from '../lib/stages/git.ts'
import { scanMarkdown } from '../lib/scan/markdown.ts'
import { countsLine, findingLine, objections, type ScanResult } from '../lib/scan/result.ts'
import { securityScan } from '../lib/scan/scan.ts'
import { readWaivers } from '../lib/scan/waivers.ts'
import { writeScan } from '../lib/scan/write.ts'
import { scan, skips, type ScanSettings } from '../lib/settings/scan.ts'
import { temporaryFolder } from '../lib/temporary.ts'

const usage = `Usage: bun scripts/security-scan.ts [--config FILE] [--fail-on SEVERITY] [...]

  --config FILE       its scan: is asked for what no flag says; default
                      deploy.yaml, if it is there
  --folder DIR        where the lockfile is; default where deploy.yaml is
  --fail-on SEVERITY  low, medium, high (the default) or critical;
                      what has no known severity always fails
  --waivers FILE      accepted findings; default security-waivers.yaml
  --skip SCANNER      audit or dependency-check; recorded with its --reason
  --reason TEXT       why it is skipped
  --timeout TIME      for each scanner; default 45m
  --image IMAGE       of Dependency-Check, where it is not on PATH
  --release RELEASE   scan what a release was built of, and renew its proof in
                      the registry: its file, its digest, or IMAGE@DIGEST
  --out DIR           reports go to DIR/security-scan; default reports
  --json              the result on standard output
  --verbose           commands as a whole

From the environment: NVD_API_KEY, DEPENDENCY_CHECK_DATA (its data's folder);
with --release REGISTRY_USERNAME and REGISTRY_PASSWORD, as docker-build.ts
Exit: 0 passed, 1 findings or a scanner that failed, 2 usage, 130 interrupted
`

const { config, json, verbose, help } = common
const value = { type: 'string' } as const
const own = { folder: value, 'fail-on': value, waivers: value, timeout: value, image: value, out: value }
const more = { skip: value, reason: value, release: value }
const options = { config, json, verbose, help, ...own, ...more } as const

if (import.meta.main) {
  await main(usage, options, async ({ flags, log, signal }) => {
    const settings = settingsOf(flags)
    const skip = skips(text(flags, 'skip'), text(flags, 'reason'))
    const waivers = readWaivers(relative('', settings.waivers), text(flags, 'waivers') !== undefined)
    const sh = shell((line) => log.command(line))
    const reports = text(flags, 'out') ?? 'reports'
    const out = join(reports, 'security-scan')
    const scanOf = async (folder: string, commit: string): Promise<ScanResult> => {
      const world = { shell: sh, log, signal, variables: process.env, now: Date.now, out, commit }
      const scanned = await securityScan({ settings: { ...settings, folder }, skip, waivers }, world)
      return writeScan(scanned, folder, out)
    }
    const ofCommit = async (commit: string): Promise<ScanResult> => {
      using files = temporaryFolder()
      return await scanOf(await checkOut(commit, settings.folder, files.path, sh), commit)
    }
    const named = text(flags, 'release')
    const image = () => loadPipeline(fileOf(flags), process.env).image
    const result =
      named === undefined
        ? await scanOf(settings.folder, revision(await readSource(settings.folder, sh, process.env)))
        : await renewScan({ named, image, reports }, { shell: sh, variables: process.env }, ofCommit)
    writeSummary(scanMarkdown(result), process.env)
    for (const found of result.findings) log.info(findingLine(found))
    if (flags.json) data(result)
    if (!result.passed)
      throw new DeployError([...objections(result), `See ${join(out, 'report.html')}`].join('\n  '))
    log.print(log.style.green(`Security scan passed: ${countsLine(result.counts)}.`))
  })
}

type Flags = Parameters<typeof text>[0]

function fileOf(flags: Flags): string {
  return text(flags, 'config') ?? 'deploy.yaml'
}

/** What the flags say, before what deploy.yaml says, before the defaults. @throws DeployError (2) */
function settingsOf(flags: Flags): ScanSettings {
  const names = ['folder', 'fail-on', 'waivers', 'timeout', 'image']
  const given = names.flatMap((name) => {
    const said = text(flags, name)
    return said === undefined ? [] : [[name === 'fail-on' ? 'failOn' : name, said] as const]
  })
  const parsed = scan.safeParse(Object.fromEntries(given))
  if (!parsed.success) {
    const { path = [], message = '' } = parsed.error.issues[0] ?? {}
    throw new DeployError(`--${path.join('.').replace('failOn', 'fail-on')}: ${message}`, Exit.usage)
  }
  const said = given.map(([name]) => name)
  const over = Object.entries(parsed.data).filter(([name]) => said.includes(name))
  return { ...declared(flags), ...Object.fromEntries(over) }
}

/** Paths are from where deploy.yaml is. It need not be there, unless it was asked for by name. */
function declared(flags: Flags): ScanSettings {
  const file = fileOf(flags)
  const defaults = scan.parse({})
  const { folder, waivers } = defaults
  const from = (path: string): string => resolve(dirname(file), path)
  const here = { ...defaults, folder: from(folder), waivers: from(waivers) }
  const there = flags.config !== undefined || existsSync(file)
  return there ? (loadPipeline(file, process.env).scan ?? here) : here
}
