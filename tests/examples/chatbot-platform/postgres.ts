/**
 * A PostgreSQL server for tests: in a temporary directory, on a Unix socket, as an unprivileged user. Gone
 * afterwards.
 */
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SQL } from 'bun'

export interface Postgres {
  /** The address of a new, empty database. */
  createDatabase(): Promise<string>
  stop(): Promise<void>
}

const NOBODY = 65_534
const DEBIAN = '/usr/lib/postgresql'

/** Where the server's programs are, or undefined: then the tests on PostgreSQL are skipped. */
export function findPostgres(): string | undefined {
  const onPath = Bun.which('initdb')
  if (onPath) return join(onPath, '..')
  const installed = existsSync(DEBIAN) ? readdirSync(DEBIAN) : []
  const [newest] = installed.toSorted((a, b) => Number(b) - Number(a))
  return newest && join(DEBIAN, newest, 'bin')
}

export async function startPostgres(programs: string): Promise<Postgres> {
  const folder = mkdtempSync(join(tmpdir(), 'pg-'))
  const root = process.getuid?.() === 0
  if (root) chownSync(folder, NOBODY, NOBODY)
  chmodSync(folder, 0o700)
  // The server refuses to run as root.
  const run = (program: string, ...args: string[]) =>
    Bun.spawn(
      [
        ...(root ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : []),
        join(programs, program),
        ...args,
      ],
      {
        cwd: folder,
        stdout: 'ignore',
        stderr: 'pipe',
      },
    )

  const data = join(folder, 'data')
  const created = run(
    'initdb',
    '--no-sync',
    '--auth=trust',
    '--username=tester',
    '--encoding=UTF8',
    '--locale=C',
    data,
  )
  if ((await created.exited) !== 0) throw new Error(`initdb: ${await created.stderr.text()}`)
  const server = run('postgres', '-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off')
  const address = (database: string) => `postgres://tester@localhost/${database}?path=${folder}/.s.PGSQL.5432`
  await waitUntilItAnswers(address('postgres'), server)

  let databases = 0
  return {
    async createDatabase() {
      const name = `test_${++databases}`
      await using sql = new SQL(address('postgres'), { max: 1 })
      await sql.unsafe(`CREATE DATABASE ${name}`)
      return address(name)
    },
    async stop() {
      server.kill('SIGINT') // "fast": breaks off connections
      await server.exited
      rmSync(folder, { recursive: true })
    },
  }
}

async function waitUntilItAnswers(
  address: string,
  server: Bun.Subprocess<'ignore', 'ignore', 'pipe'>,
): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await Bun.sleep(20)) {
    if (server.exitCode !== null) throw new Error(`postgres: ${await server.stderr.text()}`)
    await using sql = new SQL(address, { max: 1 })
    if (
      await sql`SELECT 1`.then(
        () => true,
        () => false,
      )
    )
      return
  }
  throw new Error('postgres did not answer within 20 s')
}
