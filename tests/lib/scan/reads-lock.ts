/** Adds to a report what Dependency-Check finds in a package-lock.json, as NodePackageAnalyzer names it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const [lock = '', file = ''] = process.argv.slice(2)
const path = join(lock, 'package-lock.json')
const packages = z.record(z.string(), z.object({ version: z.string().default('') }))
const read = z.object({ name: z.string(), packages: packages.default({}) })
const found = Object.entries(read.parse(JSON.parse(readFileSync(path, 'utf8'))).packages).flatMap(
  ([place, { version }]) => {
    const name = place.split('node_modules/').at(-1)
    const id = `pkg:npm/${encodeURIComponent(name ?? '')}@${version}`
    return name
      ? [{ fileName: `${name}:${version}`, filePath: `${path}?/${name}:${version}`, packages: [{ id }] }]
      : []
  },
)
try {
  const report = z
    .looseObject({ dependencies: z.array(z.unknown()) })
    .parse(JSON.parse(readFileSync(file, 'utf8')))
  writeFileSync(file, JSON.stringify({ ...report, dependencies: [...report.dependencies, ...found] }))
} catch {
  // A test wants what is no report.
}
