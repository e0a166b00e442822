/**
 * For who reads the same again and again: by way of one `kubectl proxy` an answer takes a ms of a core, by a kubectl of its
 * own fifty. It listens on a socket that only this user reaches, lets nothing but the application's objects be read, and
 * ends with this process. What it does not answer well a kubectl is asked for, whose words say why.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Command, Output, RunOptions, Shell } from '../command.ts'
import { parseJson } from '../json.ts'
import { temporaryFolder } from '../temporary.ts'
import { KUBECTL_VARIABLES, listsOf, proxyOfApp, rawPath, scoped } from './commands.ts'
import { Kubectl } from './kubectl.ts'
import type { World } from './world.ts'

/** ms until it listens: first it asks the server for its version. */
const BEGINS_WITHIN = 6_000

/** ms for an answer at the most, as a kubectl has it. */
const WITHIN = 15_000

export interface Reader extends AsyncDisposable {
  /** The same cluster. What `getApp` asks for, and what is got by `--raw`, comes by way of the proxy, which the first of them starts. */
  kubectl: Kubectl
}

export function openReader({ kubectl: { scope }, shell, clock, signal }: World): Reader {
  let proxy: Promise<Proxy> | undefined
  const read: Shell['read'] = async (command, options) => {
    const path = rawPath(command)
    const lists = listsOf(scope, command)
    if (path === undefined && lists === undefined) return await shell.read(command, options)
    proxy ??= startProxy(shell, (socket) => scoped(scope, proxyOfApp(scope, socket)))
    // One that did not begin is not begun again: the next kubectl is asked at once.
    const { get } = await proxy.catch(() => ({ get: () => Promise.resolve(undefined) }))
    const answer = await (lists ? together(lists, get, options) : get(path ?? '', options))
    return answer ?? (await shell.read(command, options))
  }
  return {
    kubectl: new Kubectl(scope, { ...shell, read }, clock, signal),
    [Symbol.asyncDispose]: async () => await proxy?.then(({ stop }) => stop()).catch(() => {}),
  }
}

/** Undefined for what is not answered well. */
type Get = (path: string, options?: Pick<RunOptions, 'signal' | 'timeout'>) => Promise<Output | undefined>

interface Proxy {
  get: Get
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

const list = z.object({ items: z.array(z.looseObject({})) })

/** As a kubectl makes one list of several. */
async function together(
  lists: readonly { kind: string; path: string }[],
  get: Get,
  options?: RunOptions,
): Promise<Output | undefined> {
  const answers = await Promise.all(lists.map(({ path }) => get(path, options)))
  const late = answers.find((answer) => answer?.exitCode === 124)
  if (late) return late
  const found = answers.map((answer, index) =>
    list
      .safeParse(parseJson(answer?.stdout ?? ''))
      .data?.items.map((item) => ({ kind: lists[index]?.kind, ...item })),
  )
  if (found.includes(undefined)) return undefined
  return { stdout: JSON.stringify({ items: found.flat() }), stderr: '', exitCode: 0 }
}

async function got(
  unix: string,
  path: string,
  { signal, timeout = WITHIN }: Pick<RunOptions, 'signal' | 'timeout'> = {},
): Promise<Output | undefined> {
  const late = AbortSignal.timeout(Math.min(timeout, WITHIN))
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
