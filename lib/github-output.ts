/** What a step tells GitHub Actions: outputs for later steps, and a summary for people. Elsewhere, nothing. */
import { randomUUID } from 'node:crypto'
import { appendFileSync } from 'node:fs'

type Variables = Readonly<Record<string, string | undefined>>

/** Appends `name<<delimiter` blocks to the file that GITHUB_OUTPUT names. */
export function writeOutputs(outputs: Readonly<Record<string, string>>, variables: Variables): void {
  const { GITHUB_OUTPUT } = variables
  if (!GITHUB_OUTPUT) return
  const blocks = Object.entries(outputs).map(([name, value]) => outputBlock(name, value))
  appendFileSync(GITHUB_OUTPUT, blocks.join(''))
}

/** The delimiter is made up anew, so that no value can end its own block. */
export function outputBlock(name: string, value: string, delimiter = `end-${randomUUID()}`): string {
  return `${name}<<${delimiter}\n${value}\n${delimiter}\n`
}

export function writeSummary(markdown: string, variables: Variables): void {
  const { GITHUB_STEP_SUMMARY } = variables
  if (GITHUB_STEP_SUMMARY) appendFileSync(GITHUB_STEP_SUMMARY, `${markdown}\n`)
}
