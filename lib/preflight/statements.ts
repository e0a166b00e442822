/**
 * What each statement of a migration does to the color that keeps running on the same database, from PostgreSQL's own
 * syntax tree. A kind that stands in no rule cannot be judged, and is never passed.
 */
import type { DropStmt, IndexStmt, Node, RangeVar, RenameStmt } from 'libpg-query'
import { alterTable } from './alter-table.ts'
import type { Finding } from './box.ts'
import { bad, fine, nameOf, unsure, type Made } from './rulings.ts'

/** Only what adds something, whatever else it says. */
const ADDING = [
  'CreateSchemaStmt',
  'CreateSeqStmt',
  'CreateEnumStmt',
  'CompositeTypeStmt',
  'CreateExtensionStmt',
  'CreateDomainStmt',
  'CommentStmt',
]

/** Says how the migration itself is run. */
const NOTHING = ['TransactionStmt', 'VariableSetStmt']

/**
 * @returns undefined for a statement that does nothing to the database
 * @param made is told what the statement makes
 */
export function judgeStatement(node: Node, made: Made): Finding[] | undefined {
  const [kind = 'nothing'] = Object.keys(node)
  if (NOTHING.includes(kind)) return undefined
  if (ADDING.includes(kind)) return [fine]
  if ('CreateStmt' in node) {
    const { relation, inhRelations, if_not_exists: maybe } = node.CreateStmt
    if (inhRelations) return [unsure(`attaches the table ${nameOf(relation)} to another one`)]
    if (!maybe) made.tables.add(nameOf(relation))
    return [fine]
  }
  if ('AlterTableStmt' in node) return alterTable(node.AlterTableStmt, made)
  return [inTables(node, made) ?? ofKind(node) ?? unsure(`${spoken(kind)} cannot be judged`)]
}

/** What is done to tables, or to what is in them. */
function inTables(node: Node, made: Made): Finding | undefined {
  if ('DropStmt' in node) return drops(node.DropStmt, made)
  if ('RenameStmt' in node) return renames(node.RenameStmt, made)
  if ('IndexStmt' in node) return index(node.IndexStmt, made)
  if ('AlterObjectSchemaStmt' in node)
    return bad(`moves ${nameOf(node.AlterObjectSchemaStmt.relation)} to another schema`)
  if ('InsertStmt' in node) return node.InsertStmt.withClause ? unsure('WITH may change more') : fine
  if ('UpdateStmt' in node) return rows('changes', node.UpdateStmt, made)
  if ('DeleteStmt' in node) return rows('deletes', node.DeleteStmt, made)
  if ('TruncateStmt' in node) return bad('TRUNCATE takes every row away')
  if ('LockStmt' in node) return bad('LOCK makes the running version wait')
  return undefined
}

function ofKind(node: Node): Finding | undefined {
  if ('DoStmt' in node) return unsure('a DO block can do anything')
  if ('CallStmt' in node) return unsure('CALL runs a procedure, which can do anything')
  if ('SelectStmt' in node) return unsure('SELECT can call a function that changes something')
  if ('CreateTrigStmt' in node) return unsure('a trigger acts on what the running version writes')
  if ('GrantStmt' in node) return node.GrantStmt.is_grant ? fine : bad('REVOKE takes a right away')
  if ('ViewStmt' in node)
    return node.ViewStmt.replace ? unsure('writes a view anew that the running version may read') : fine
  if ('CreateFunctionStmt' in node)
    return node.CreateFunctionStmt.replace
      ? unsure('writes a function anew that the running version may call')
      : fine
  if ('AlterEnumStmt' in node)
    return node.AlterEnumStmt.oldVal
      ? bad(`renames the value ${node.AlterEnumStmt.oldVal} of a type`)
      : unsure(`adds the value ${node.AlterEnumStmt.newVal}, which the running version may not know`)
  if ('VacuumStmt' in node) return isFull(node.VacuumStmt.options) ? bad('VACUUM FULL locks the table') : fine
  return undefined
}

const isFull = (options: readonly Node[] = []): boolean =>
  options.some((option) => 'DefElem' in option && option.DefElem.defname === 'full')

function drops({ objects = [], removeType = 'OBJECT_TABLE', concurrent }: DropStmt, made: Made): Finding {
  const what = removeType.replace('OBJECT_', '').toLowerCase()
  const names = objects.map((object) => words(object).join('.'))
  if (removeType === 'OBJECT_INDEX')
    return concurrent ? fine : bad(`drops the index ${names.join(', ')} without CONCURRENTLY: users wait`)
  if (removeType === 'OBJECT_TABLE' && names.every((name) => made.tables.has(name))) return fine
  return bad(`drops the ${what} ${names.join(', ')}`)
}

function renames({ renameType, relation, subname, newname }: RenameStmt, made: Made): Finding {
  const table = nameOf(relation)
  if (renameType === 'OBJECT_INDEX' || made.tables.has(table)) return fine
  const [, kind = 'object'] = renameType?.toLowerCase().split('_') ?? []
  return bad(
    `renames the ${kind} ${[table, subname].filter(Boolean).join('.')} to ${newname}`.replace('  ', ' '),
  )
}

function index(
  { relation, unique, concurrent, idxname = '' }: IndexStmt & { concurrent?: boolean },
  made: Made,
) {
  if (made.tables.has(nameOf(relation))) return fine
  if (unique) return bad(`the unique index ${idxname} refuses rows that the running version may write`)
  return concurrent ? fine : bad(`the index ${idxname} is made without CONCURRENTLY: whoever writes waits`)
}

function rows(
  verb: string,
  { relation, whereClause, withClause }: { relation?: RangeVar; whereClause?: Node; withClause?: unknown },
  made: Made,
): Finding {
  const table = nameOf(relation)
  if (made.tables.has(table)) return fine
  if (!whereClause) return bad(`${verb} every row of ${table}`)
  return unsure(`${verb} rows of ${table}${withClause ? ', and WITH may change more' : ''}`)
}

/** A name's parts, however deep they stand in the tree. */
function words(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(words)
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => {
    if (key === 'sval') return [String(value)]
    return key === 'objargs' || key === 'objfuncargs' ? [] : words(value)
  })
}

/** `AlterPolicyStmt` → `ALTER POLICY` */
const spoken = (kind: string): string =>
  kind
    .replace(/Stmt$/, '')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase()
