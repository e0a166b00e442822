/** The kinds of database that the app's tests run on. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPostgres, startPostgres, type Postgres } from './postgres.ts'

export interface DatabaseKind {
  name: string
  /** Why it cannot be tested on this machine. */
  missing?: string
  start(): Promise<void>
  /** The address of a new, empty database. */
  create(): Promise<string>
  stop(): Promise<void>
}

export function databaseKinds(): DatabaseKind[] {
  const kinds = [sqlite(), postgres()]
  for (const { name, missing } of kinds) if (missing) console.warn(`SKIPPED on ${name}: ${missing}`)
  return kinds
}

export function sqlite(): DatabaseKind {
  let folder: string
  let files = 0
  return {
    name: 'SQLite',
    start: async () => void (folder = mkdtempSync(join(tmpdir(), 'chat-'))),
    create: async () => `sqlite:${folder}/${++files}.db`,
    stop: async () => rmSync(folder, { recursive: true }),
  }
}

function postgres(): DatabaseKind {
  const programs = findPostgres()
  let server: Postgres
  return {
    name: 'PostgreSQL',
    ...(programs === undefined && { missing: 'there is no initdb on PATH nor in /usr/lib/postgresql' }),
    start: async () => void (server = await startPostgres(programs ?? '')),
    create: () => server.createDatabase(),
    stop: () => server.stop(),
  }
}
