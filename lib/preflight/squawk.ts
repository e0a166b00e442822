/**
 * squawk's word on migrations: https://squawkhq.com/docs/rules. It exits 1 for matters of style, too, so what counts is
 * the names of its rules.
 */
import { basename } from 'node:path'
import { createRequire } from 'node:module'
import { z } from 'zod'
import type { Shell } from '../command.ts'
import { DeployError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { plain } from '../text.ts'

/** What an old version does not survive, or waits for. */
const BREAKING = [
  'adding-field-with-default',
  'adding-foreign-key-constraint',
  'adding-not-nullable-field',
  'adding-required-field',
  'adding-serial-primary-key-field',
  'ban-alter-domain-with-add-constraint',
  'ban-drop-column',
  'ban-drop-database',
  'ban-drop-not-null',
  'ban-drop-table',
  'ban-truncate-cascade',
  'changing-column-type',
  'constraint-missing-not-valid',
  'disallowed-unique-constraint',
  'renaming-column',
  'renaming-table',
  'require-concurrent-index-creation',
  'require-concurrent-index-deletion',
]

const answer = z.array(z.object({ rule_name: z.string(), message: z.string(), line: z.number() }))

/** ms; it takes 70 for a file */
const TIMEOUT = 20_000

/**
 * Its findings that count, as sentences with their line.
 * @throws DeployError when it cannot be run or does not answer
 */
export async function squawk(sql: string, shell: Shell): Promise<string[]> {
  const command = [
    program(),
    '--config=/dev/null',
    '--reporter=json',
    '--stdin-filepath=migration.sql',
  ] as const
  const { stdout, stderr, exitCode } = await shell.read(command, { input: sql, timeout: TIMEOUT })
  const parsed = answer.safeParse(parseJson(stdout))
  if (exitCode > 1 || !parsed.success)
    throw new DeployError(`squawk did not answer (exit ${exitCode}): ${plain(stderr || stdout, 200)}`)
  return parsed.data
    .filter(({ rule_name: rule }) => BREAKING.includes(rule))
    .map(({ rule_name: rule, message, line }) => `line ${line + 1}: ${plain(message, 120)} (squawk: ${rule})`)
}

/** Its package holds one program for each platform. */
function program(): string {
  const name = process.platform === 'win32' ? 'squawk.exe' : 'squawk'
  const packaged = `@squawk-cli/${process.platform}-${process.arch}/bin/${name}`
  try {
    return createRequire(import.meta.url).resolve(packaged)
  } catch (error) {
    throw new DeployError(`squawk has no program for this machine (${basename(packaged)})`, undefined, {
      cause: error,
    })
  }
}
