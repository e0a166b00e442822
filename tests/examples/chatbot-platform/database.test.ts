import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'bun:test'

const MODULE = join(import.meta.dir, '../../../examples/chatbot-platform/src/database.ts')

/** Opens a database at a moment of the clock, as a process of its own. Resolves with what it said, if it failed. */
async function openAt(moment: number, url: string): Promise<string> {
  const source = `
    const { openDatabase } = await import(${JSON.stringify(MODULE)})
    while (Date.now() < ${moment});
    const database = await openDatabase(${JSON.stringify(url)}, { connections: 1 })
    await database.close()`
  const child = Bun.spawn([process.execPath, '-e', source], { stdout: 'ignore', stderr: 'pipe' })
  const said = await child.stderr.text()
  return (await child.exited) === 0 ? '' : said
}

// Without waiting for each other, one of four was refused in every fifth round.
test('a new SQLite file never refuses a process that opens it at the same moment as others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'database-'))
  try {
    for (let round = 0; round < 20; round++) {
      const moment = Date.now() + 150
      const url = `sqlite:${join(folder, `${round}.db`)}`
      expect(await Promise.all([1, 2, 3, 4].map(() => openAt(moment, url)))).toEqual(['', '', '', ''])
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)
