/** Trends of an archive, where the cluster that has forgotten it is away. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { archive } from '../../lib/report/archive.ts'
import { temporaryFolder } from '../../lib/temporary.ts'
import { ROOT } from '../tree.ts'
import { generated, iso } from '../lib/report/records.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const DAY = 86_400_000

async function trends(...args: string[]) {
  const child = Bun.spawn([process.execPath, 'scripts/deployment-trends.ts', ...args], {
    cwd: ROOT,
    env: { PATH: dirname(process.execPath) },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { out, err, code }
}

test('1,000 records of two environments, from an archive alone', async () => {
  using folder = temporaryFolder()
  const cases = ['production', 'staging'].flatMap((name) => generated(500, 60, name, name.length))
  // They end now, and each knows what it was built of: nobody is asked.
  const late = Date.now() - DAY - Date.parse(cases[499]?.archived.record.startedAt ?? '')
  const moved = (time: string): string => iso(Date.parse(time) + late)
  for (const { archived } of cases) {
    const { record } = archived
    const finishedAt = moved(record.finishedAt ?? record.startedAt)
    const source = archived.source ?? { revision: 'a'.repeat(40) }
    archive(folder.path, { source, record: { ...record, startedAt: moved(record.startedAt), finishedAt } })
  }
  writeFileSync(join(folder.path, 'staging', 'broken.json'), '{')
  const place = ['--archive', folder.path, '--out', folder.path]
  const { out, err, code } = await trends('--env', 'production,staging', ...place, '--json')
  expect(code).toBe(0)
  expect(err).toContain("The cluster's records of production could not be read: kubectl is not on PATH")
  const [first, second] = ['production', 'staging'].map((name) => {
    const own = cases.filter(({ archived }) => archived.record.environment === name)
    const of = (wanted: string) => own.filter(({ fate }) => fate === wanted).length
    return {
      environment: name,
      deployments: { live: of('live'), failed: of('failed'), prevented: of('prevented') },
    }
  })
  expect(JSON.parse(out)).toMatchObject([first, second])
  const page = readFileSync(join(folder.path, 'index.html'), 'utf8')
  expect(page).toContain('staging/broken.json is no record')
})

test('neither a cluster nor an archive: nothing is written, and why is said', async () => {
  using folder = temporaryFolder()
  const { out, err, code } = await trends('--env', 'staging', '--out', folder.path)
  expect([out, code]).toEqual(['', 1])
  expect(err).toContain('✗ The cluster')
  expect(await Bun.file(join(folder.path, 'index.html')).exists()).toBe(false)
})

test.each([['0'], ['x'], ['1.5']])('--days %s is wrong usage', async (days) => {
  const { err, code } = await trends('--env', 'staging', '--days', days)
  expect([code, err]).toEqual([2, expect.stringContaining('--days is a number from 1')])
})
