/**
 * SQL on SQLite (a file, several processes may share it) or PostgreSQL, through one query layer. Queries are
 * written in the common subset: TEXT and INTEGER columns, times as ISO 8601 in UTC, `ON CONFLICT`, one
 * statement at a time.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { SQL } from 'bun'

export type Adapter = 'sqlite' | 'postgres'

export interface Database {
  adapter: Adapter
  /** Runs one query; `operation` names it in the metrics. */
  run<T>(operation: string, query: (sql: SQL) => Promise<T>): Promise<T>
  connections(): { used: number; idle: number }
  maxConnections: number
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** The size of the pool on PostgreSQL. SQLite has one connection. */
  connections: number
  /** @throws what an operation is to fail with */
  disturb?: () => void
  /** `error` is the name of what the operation failed with. */
  observe?: (operation: string, seconds: number, error?: string) => void
}

/** How long a writer waits for another process, and a query for an answer. */
const BUSY_MS = 3000

/** @throws when a SQLite file cannot be opened. PostgreSQL is connected to by the first query. */
export async function openDatabase(url: string, options: DatabaseOptions): Promise<Database> {
  const adapter = url.startsWith('sqlite:') ? 'sqlite' : 'postgres'
  const open = { count: 0 }
  const sql = adapter === 'sqlite' ? await openFile(url, open) : openPool(url, options.connections, open)
  let running = 0

  return {
    adapter,
    maxConnections: adapter === 'sqlite' ? 1 : options.connections,
    async run(operation, query) {
      const started = performance.now()
      const seconds = () => (performance.now() - started) / 1000
      running++
      try {
        options.disturb?.()
        const result = await query(sql)
        options.observe?.(operation, seconds())
        return result
      } catch (error) {
        options.observe?.(operation, seconds(), error instanceof Error ? error.name : 'unknown')
        throw error
      } finally {
        running--
      }
    },
    connections() {
      const used = Math.min(running, open.count)
      return { used, idle: open.count - used }
    },
    close: () => sql.close({ timeout: 1 }), // seconds; what still runs belongs to a request that was broken off
  }
}

async function openFile(url: string, open: { count: number }): Promise<SQL> {
  const filename = url.replace(/^sqlite:(\/\/)?/, '')
  mkdirSync(dirname(filename), { recursive: true })
  const sql = new SQL({ adapter: 'sqlite', filename })
  await sql.unsafe(`PRAGMA busy_timeout = ${BUSY_MS}`) // first: the next line needs the lock already
  await useWriteAheadLog(sql)
  await sql.unsafe('PRAGMA synchronous = NORMAL') // safe with WAL: a power cut may lose the last commit, not the file
  await sql.unsafe('PRAGMA foreign_keys = ON')
  open.count = 1
  return sql
}

/**
 * Readers and one writer at the same time, across processes. Where several turn a new file to it at once, SQLite
 * refuses all but one without waiting (two that hold a read lock would wait for each other); afterwards it is
 * that way already, and nothing is to be done.
 */
async function useWriteAheadLog(sql: SQL): Promise<void> {
  const deadline = performance.now() + BUSY_MS
  for (;;) {
    try {
      await sql.unsafe('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      const busy = error instanceof SQL.SQLiteError && error.code === 'SQLITE_BUSY'
      if (!busy || performance.now() > deadline) throw error
      await Bun.sleep(5)
    }
  }
}

function openPool(url: string, max: number, open: { count: number }): SQL {
  return new SQL(url, {
    max,
    connectionTimeout: 3,
    connection: { application_name: 'chatbot-platform', statement_timeout: BUSY_MS },
    onconnect: () => void open.count++,
    // Also called for an attempt that failed and was never counted.
    onclose: () => void (open.count = Math.max(0, open.count - 1)),
  })
}
