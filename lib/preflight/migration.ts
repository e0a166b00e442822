/** Whether one migration is backward compatible: by the rules over its syntax tree, and by squawk. */
import { loadModule, parse, type ParseResult } from 'libpg-query'
import type { Shell } from '../command.ts'
import { sentence } from '../errors.ts'
import { plain } from '../text.ts'
import { passed, worst, type Finding } from './box.ts'
import { bad, unsure, type Made } from './rulings.ts'
import { squawk } from './squawk.ts'
import { judgeStatement } from './statements.ts'

/** @throws DeployError when squawk cannot be asked */
export async function judgeMigration(sql: string, shell: Shell): Promise<Finding> {
  const tree = await parsed(sql)
  if (typeof tree === 'string') return unsure(`is nothing that PostgreSQL's parser reads: ${tree}`)
  const made: Made = { tables: new Set(), columns: new Set() }
  const bytes = Buffer.from(sql)
  const findings: Finding[] = []
  const old: string[] = []
  for (const { stmt, stmt_location: from = 0, stmt_len: length } of tree.stmts ?? []) {
    const judged = stmt && judgeStatement(stmt, made)
    if (!judged) continue
    findings.push(...judged)
    // What was judged harmless because the migration made the thing itself, squawk does not know to be.
    const text = bytes.subarray(from, length === undefined ? undefined : from + length).toString()
    if (judged.some(({ verdict }) => verdict !== 'passed') || !namesMade(text, made)) old.push(text)
  }
  if (findings.length === 0) return unsure('says nothing that changes a database')
  const second = old.length > 0 ? await squawk(`${old.join(';\n')};`, shell) : []
  return worst([...findings, ...second.map(bad)], passed(''))
}

async function parsed(sql: string): Promise<ParseResult | string> {
  try {
    await loadModule()
    // Of nothing but comments the parser makes a tree without a statement.
    return sql.trim() === '' ? { stmts: [] } : await parse(sql)
  } catch (error) {
    return plain(sentence(error), 120)
  }
}

const namesMade = (text: string, { tables }: Made): boolean =>
  [...tables].some((name) => text.includes(name.split('.').at(-1) ?? name))
