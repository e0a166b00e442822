/**
 * For who reads the same again and again: by way of one `kubectl proxy` an answer takes a ms of a core, by a kubectl of its
 * own fifty. It listens on a socket that only this user reaches, lets nothing but pods be read, and ends with this process.
 * What it does not answer well a kubectl is asked for, whose words say why.
 */
import { join } from 'node:path'
import type { Command, Output, RunOptions, Shell } from '../command.ts'
import { temporaryFolder } from '../temporary.ts'
import { KUBECTL_VARIABLES, proxyOfPods, rawPath, scoped } from './commands.ts'
import { Kubectl } from './kubectl.ts'
import type { World } from './world.ts'

/** ms until it listens: first it asks the server for its version. */
const BEGINS_WITHIN = 6_000

/** ms for an answer, where nothing else is said. */
const WITHIN = 15_000

export interface Reader extends AsyncDisposable {
  /** The same cluster. What is got of pods by `--raw` comes by way of the proxy, which the first of it starts. */
  kubectl: Kubectl
}

export function openReader({ kubectl: { scope }, shell, clock, signal }: World): Reader {
  let proxy: Promise<Proxy> | undefined
  const read: Shell['read'] = async (command, options) => {
    const path = rawPath(command)
    if (path === undefined) return await shell.read(command, options)
    proxy ??= startProxy(shell, (socket) => scoped(scope, proxyOfPods(scope, socket)))
    // One that did not begin is not begun again: the next kubectl is asked at once.
    const answer = await proxy.then(({ get }) => get(path, options)).catch(() => undefined)
    return answer ?? (await shell.read(command, options))
  }
  return {
    kubectl: new Kubectl(scope, { ...shell, read }, clock, signal),
    [Symbol.asyncDispose]: async () => await proxy?.then(({ stop }) => stop()).catch(() => {}),
  }
}

interface Proxy {
  /** Undefined for what is not answered well. */
  get: (path: string, options?: Pick<RunOptions, 'signal' | 'timeout'>) => Promise<Output | undefined>
  stop: () => Promise<void>
}

async function startProxy(shell: Shell, command: (socket: string) => Command): Promise<Proxy> {
  const folder = temporaryFolder()
  const stops = new AsyncDisposableStack()
  stops.use(folder)
  try {
    const unix = join(folder.path, 'api')
    const running = await shell.start(command(unix), { env: KUBECTL_VARIABLES })
    stops.defer(() => running.stop())
    await running.line(/Starting to serve/, BEGINS_WITHIN)
    return { get: (path, options) => got(unix, path, options), stop: () => stops.disposeAsync() }
  } catch (error) {
    await stops.disposeAsync()
    throw error
  }
}

async function got(
  unix: string,
  path: string,
  { signal, timeout = WITHIN }: Pick<RunOptions, 'signal' | 'timeout'> = {},
): Promise<Output | undefined> {
  const late = AbortSignal.timeout(timeout)
  try {
    const answer = await fetch(`http://localhost${path}`, {
      unix,
      signal: signal ? AbortSignal.any([signal, late]) : late,
    })
    const stdout = await answer.text()
    return answer.ok ? { stdout, stderr: '', exitCode: 0 } : undefined
  } catch {
    // Its time is over, which no kubectl gets a second time.
    return late.aborted ? { stdout: '', stderr: '', exitCode: 124 } : undefined
  }
}
