/** What can be said of a statement of a migration. */
import type { RangeVar } from 'libpg-query'
import { failed, passed, unknown, type Finding } from './box.ts'

/** What the migration has made itself: nobody else uses it yet. */
export interface Made {
  tables: Set<string>
  /** `table.column` */
  columns: Set<string>
}

const EXPAND =
  'expand first and contract in a later release, when no running version uses it any more; ' +
  'if that has been done: --ack migrations "<reason>"'

const PERSON = 'look at what it does to the running version, then --ack migrations "<reason>"'

export const bad = (why: string): Finding => failed(why, EXPAND)
export const unsure = (why: string): Finding => unknown(why, PERSON)
export const fine = passed('adds what an old version does not notice')

/** With its schema, where it is named. */
export const nameOf = (relation: RangeVar | undefined): string =>
  [relation?.schemaname, relation?.relname].filter(Boolean).join('.')
