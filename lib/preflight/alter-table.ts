/** ALTER TABLE: what each of its commands means for a version that was written before it. */
import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, Node } from 'libpg-query'
import type { Finding } from './box.ts'
import { bad, fine, nameOf, unsure, type Made } from './rulings.ts'

export function alterTable({ relation, cmds = [], objtype }: AlterTableStmt, made: Made): Finding[] {
  const table = nameOf(relation)
  const commands = cmds.flatMap((node) => ('AlterTableCmd' in node ? [node.AlterTableCmd] : []))
  if (made.tables.has(table)) return [fine]
  if (objtype !== 'OBJECT_TABLE') return [unsure(`what ALTER does to ${table} cannot be judged`)]
  return commands.map((command) => judge(table, command, made))
}

function judge(table: string, { subtype, name, def }: AlterTableCmd, made: Made): Finding {
  const column = `${table}.${name}`
  switch (subtype) {
    case 'AT_AddColumn':
      return def && 'ColumnDef' in def ? addColumn(table, def.ColumnDef, made) : unsure('adds no column')
    case 'AT_AddConstraint':
      return def && 'Constraint' in def
        ? addConstraint(table, def.Constraint, made)
        : unsure('adds no constraint')
    case 'AT_DropColumn':
      return bad(`drops the column ${name} of ${table}`)
    case 'AT_AlterColumnType':
      return bad(`changes the type of ${column}: the table may be rewritten, and is locked`)
    case 'AT_SetNotNull':
      return made.columns.has(column)
        ? fine
        : bad(`${column} becomes NOT NULL: the running version may leave it out`)
    case 'AT_DropNotNull':
      return bad(`${column} may be null from then on, which the running version does not expect`)
    case 'AT_ColumnDefault':
      return def || made.columns.has(column) ? fine : bad(`drops the default of ${column}`)
    case 'AT_DropConstraint':
      return unsure(`drops the constraint ${name} of ${table}, on which the running version may rely`)
    case 'AT_EnableRowSecurity':
    case 'AT_ForceRowSecurity':
      return bad(`row security of ${table} hides rows from the running version`)
    case 'AT_ValidateConstraint':
    case 'AT_SetStatistics':
      return fine
    default:
      return unsure(`${subtype?.replace('AT_', '')} of ${table} cannot be judged`)
  }
}

const SERIAL = ['serial', 'bigserial', 'smallserial', 'serial4', 'serial8', 'serial2']

function addColumn(
  table: string,
  { colname = '', typeName, constraints = [] }: ColumnDef,
  made: Made,
): Finding {
  const column = `${table}.${colname}`
  const kinds = constraints.flatMap((node) => ('Constraint' in node ? [node.Constraint] : []))
  const has = (kind: Constraint['contype']) => kinds.find(({ contype }) => contype === kind)
  const type = typeName?.names?.flatMap((node) => ('String' in node ? [node.String.sval] : [])).at(-1)
  const rewritten = 'the table is rewritten, and is locked'
  made.columns.add(column)
  if (SERIAL.includes(type ?? '')) return bad(`${column} is serial: ${rewritten}`)
  if (has('CONSTR_IDENTITY') || has('CONSTR_GENERATED'))
    return bad(`${column} is computed for each row: ${rewritten}`)
  const given = has('CONSTR_DEFAULT')
  if (given && isVolatile(given.raw_expr))
    return bad(`the default of ${column} is computed for each row: ${rewritten}`)
  if (has('CONSTR_NOTNULL') && !given)
    return bad(`${column} is NOT NULL without a default: the running version cannot write rows`)
  if (has('CONSTR_UNIQUE') || has('CONSTR_PRIMARY'))
    return bad(`${column} is unique: the table is locked while its index is made`)
  if (has('CONSTR_FOREIGN'))
    return bad(`the foreign key of ${column} locks both tables: add it NOT VALID, then validate it`)
  return fine
}

/** What has one value for the whole statement; any other function may have one for each row. */
const STABLE = ['now', 'transaction_timestamp', 'statement_timestamp']

function isVolatile(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(isVolatile)
  if (typeof node !== 'object' || node === null) return false
  return Object.entries(node).some(([key, value]: [string, unknown]) =>
    key === 'FuncCall'
      ? !STABLE.some((name) => JSON.stringify(value).includes(`"sval":"${name}"`))
      : isVolatile(value),
  )
}

function addConstraint(
  table: string,
  { contype, conname = '', raw_expr, skip_validation: later }: Constraint,
  made: Made,
) {
  const what = `${conname} of ${table}`
  switch (contype) {
    case 'CONSTR_CHECK': {
      const read = columnsOf(raw_expr).map((column) => `${table}.${column}`)
      const isNew = read.length > 0 && read.every((column) => made.columns.has(column))
      if (isNew && later) return fine
      return bad(`the check ${what} refuses rows that the running version may write`)
    }
    case 'CONSTR_FOREIGN':
      return later
        ? unsure(`the foreign key ${what} refuses rows that the running version may write`)
        : bad(`the foreign key ${what} locks both tables: add it NOT VALID, then validate it`)
    case 'CONSTR_UNIQUE':
    case 'CONSTR_PRIMARY':
    case 'CONSTR_EXCLUSION':
      return bad(`${what} is to be unique: it refuses rows that the running version may write`)
    default:
      return unsure(`the constraint ${what} cannot be judged`)
  }
}

/** The columns that an expression reads. */
function columnsOf(node: Node | undefined): string[] {
  const text = JSON.stringify(node ?? {})
  const references = text.matchAll(/"ColumnRef":\{"fields":\[(.*?)\]/g)
  return [...references].map(([, fields = '']) => [...fields.matchAll(/"sval":"([^"]*)"/g)].at(-1)?.[1] ?? '')
}
