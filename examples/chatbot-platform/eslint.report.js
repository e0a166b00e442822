/** What ESLint prints for people; and where $REPORTS is set, its JSON beside it, for whoever counts. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ESLint } from 'eslint'

export default async function report(results, context) {
  const { REPORTS } = process.env
  if (REPORTS) writeFileSync(join(REPORTS, 'eslint.json'), JSON.stringify(results))
  const stylish = await new ESLint().loadFormatter('stylish')
  return stylish.format(results, context)
}
