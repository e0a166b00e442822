#!/usr/bin/env bun
/** Prints the JSON Schema of deploy.yaml, made from what the scripts themselves parse it with. */
import { z } from 'zod'
import { common, data, main } from '../lib/cli/cli.ts'
import { deployFile } from '../lib/settings/file.ts'

const usage = `Usage: bun scripts/config-schema.ts > deploy.schema.json

Editors that know YAML schemas check deploy.yaml with it while you type.
`

if (import.meta.main) {
  await main(usage, { help: common.help }, () =>
    Promise.resolve(data(z.toJSONSchema(deployFile, { io: 'input' }))),
  )
}
