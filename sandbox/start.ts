#!/usr/bin/env bun
/**
 * Runs a sandbox in the foreground until SIGINT or SIGTERM. Prints one line for a shell to evaluate.
 * Its containers end with it, however it ends.
 */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { kubeconfig } from './kubeconfig.ts'
import { startSandbox } from './sandbox.ts'

const USAGE = `usage: bun sandbox/start.ts [options]

Starts an in-memory Kubernetes cluster on 127.0.0.1 whose containers are local processes, and runs until it is
interrupted. Prints one line on stdout: export KUBECONFIG=… REGISTRY=127.0.0.1:PORT

  --port N             port of the API server (default: a free one)
  --registry-port N    port of the image registry (default: a free one)
  --context NAME       name of the context in the kubeconfig (default: sandbox)
  --data-dir DIR       where volumes and logs are kept (default: a temporary directory, removed at the end)
  --kubeconfig FILE    where the kubeconfig is written (default: kubeconfig in the data directory)
  --help               this text`

class UsageError extends Error {}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        port: { type: 'string' },
        'registry-port': { type: 'string' },
        context: { type: 'string', default: 'sandbox' },
        'data-dir': { type: 'string' },
        kubeconfig: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function portOf(flag: string, text: string | undefined): number {
  const port = Number(text ?? 0)
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port
  throw new UsageError(`--${flag} ${text}: expected a port number`)
}

function main(argv: string[]): void {
  const options = parse(argv)
  if (options.help) {
    console.log(USAGE)
    return
  }
  const directory = options['data-dir']
  const sandbox = startSandbox({
    port: portOf('port', options.port),
    registryPort: portOf('registry-port', options['registry-port']),
    ...(directory && { dataDirectory: resolve(directory) }),
  })
  const file = resolve(options.kubeconfig ?? join(sandbox.dataDirectory, 'kubeconfig'))
  writeFileSync(file, kubeconfig(sandbox.url, options.context), { mode: 0o600 })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => void stop(sandbox))
  console.error(
    `sandbox: ready at ${sandbox.url}; logs and volumes in ${sandbox.dataDirectory}; stop with Ctrl-C`,
  )
  console.log(`export KUBECONFIG=${file} REGISTRY=${sandbox.registry}`)
}

async function stop(sandbox: { stop(): Promise<void> }): Promise<void> {
  await sandbox.stop()
  process.exit(0)
}

if (import.meta.main) {
  try {
    main(process.argv.slice(2))
  } catch (error) {
    console.error(`sandbox: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(error instanceof UsageError ? 2 : 1) // at once: what had started by then would keep it running
  }
}
