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

type Kind = NonNullable<AlterTableCmd['subtype']>

interface Altered {
  table: string
  name: string
  /** `table.name` */
  column: string
  def: Node | undefined
  made: Made
}

const commands: Partial<Record<Kind, (altered: Altered) => Finding>> = {
  AT_AddColumn: ({ table, def, made }) =>
    def && 'ColumnDef' in def ? addColumn(table, def.ColumnDef, made) : unsure('adds no column'),
  AT_AddConstraint: ({ table, def, made }) =>
    def && 'Constraint' in def ? addConstraint(table, def.Constraint, made) : unsure('adds no constraint'),
  AT_DropColumn: ({ table, name }) => bad(`drops the column ${name} of ${table}`),
  AT_AlterColumnType: ({ column }) =>
    bad(`changes the type of ${column}: the table may be rewritten, and is locked`),
  AT_SetNotNull: ({ column, made }) =>
    made.columns.has(column) ? fine : bad(`${column} becomes NOT NULL: the running version may leave it out`),
  AT_DropNotNull: ({ column }) =>
    bad(`${column} may be null from then on, which the running version does not expect`),
  AT_ColumnDefault: ({ column, def, made }) =>
    def || made.columns.has(column) ? fine : bad(`drops the default of ${column}`),
  AT_DropConstraint: ({ table, name }) =>
    unsure(`drops the constraint ${name} of ${table}, on which the running version may rely`),
  AT_EnableRowSecurity: ({ table }) => bad(`row security of ${table} hides rows from the running version`),
  AT_ForceRowSecurity: ({ table }) => bad(`row security of ${table} hides rows from the running version`),
  AT_ValidateConstraint: () => fine,
  AT_SetStatistics: () => fine,
}

function judge(
  table: string,
  { subtype = 'AT_AddColumn', name = '', def }: AlterTableCmd,
  made: Made,
): Finding {
  const rule = commands[subtype]
  if (!rule) return unsure(`${subtype.replace('AT_', '')} of ${table} cannot be judged`)
  return rule({ table, name, column: `${table}.${name}`, def, made })
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

const UNIQUE = ['CONSTR_UNIQUE', 'CONSTR_PRIMARY', 'CONSTR_EXCLUSION']

function addConstraint(
  table: string,
  { contype = 'CONSTR_NULL', conname = '', raw_expr, skip_validation: later }: Constraint,
  made: Made,
): Finding {
  const what = `${conname} of ${table}`
  const refuses = 'refuses rows that the running version may write'
  if (contype === 'CONSTR_CHECK') {
    const read = columnsOf(raw_expr).map((column) => `${table}.${column}`)
    const isNew = read.length > 0 && read.every((column) => made.columns.has(column))
    return isNew && later ? fine : bad(`the check ${what} ${refuses}`)
  }
  if (contype === 'CONSTR_FOREIGN')
    return later
      ? unsure(`the foreign key ${what} ${refuses}`)
      : bad(`the foreign key ${what} locks both tables: add it NOT VALID, then validate it`)
  if (UNIQUE.includes(contype)) return bad(`${what} is to be unique: it ${refuses}`)
  return unsure(`the constraint ${what} cannot be judged`)
}

/** The columns that an expression reads. */
function columnsOf(node: Node | undefined): string[] {
  const text = JSON.stringify(node ?? {})
  const references = text.matchAll(/"ColumnRef":\{"fields":\[(.*?)\]/g)
  return [...references].map(([, fields = '']) => [...fields.matchAll(/"sval":"([^"]*)"/g)].at(-1)?.[1] ?? '')
}
