/**
 * For who reads the same again and again: by way of one `kubectl proxy` an answer takes a ms of a core, by a kubectl of its
 * own fifty. It listens on a socket that only this user reaches, lets nothing but such objects be read, and ends with this
 * process. What it does not answer well a kubectl is asked for, whose words say why.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Command, Output, RunOptions, Shell } from '../command.ts'
import { parseJson } from '../json.ts'
import { temporaryFolder } from '../temporary.ts'
import { askedBy, KUBECTL_VARIABLES, proxyOf, rawPath, scoped, type Asked, type Scope } from './commands.ts'

/** ms until it listens: first it asks the server for its version. */
const BEGINS_WITHIN = 6_000

/** ms for an answer at the most, as a kubectl has it. */
const WITHIN = 15_000

/** So many reads are made by a kubectl each: a proxy takes as long to begin, and a rollback moves users with fewer. */
const FEW = 4

export interface Reader extends AsyncDisposable {
  /** The same, but for reading objects of this scope, and what its pods answer. */
  shell: Shell
}

export function openReader(scope: Scope, shell: Shell, within = WITHIN): Reader {
  let proxy: Promise<Proxy | undefined> | undefined
  let listening: Proxy | undefined
  let asked = 0
  // One that did not begin is not begun again.
  const begin = async (): Promise<Proxy | undefined> =>
    (listening = await startProxy(shell, (socket) => scoped(scope, proxyOf(scope, socket)), within).catch(
      () => undefined,
    ))
  const stop = async (): Promise<void> => {
    const begun = proxy
    proxy = listening = undefined
    await (await begun)?.stop()
  }
  const fromPod = async (path: string, options: RunOptions): Promise<Output | undefined> => {
    // There may be hundreds of them, and each would be a kubectl: these wait for the proxy.
    const answer = await (await (proxy ??= begin()))?.get(path, options)
    if (answer === 'late') return NOT_IN_TIME
    return answer?.status === 200 ? { stdout: answer.text, stderr: '', exitCode: 0 } : undefined
  }
  const objects = async (wanted: readonly Asked[], options: RunOptions): Promise<Output | undefined> => {
    if (++asked > FEW) proxy ??= begin()
    if (!listening) return undefined
    const found = await together(wanted, listening, options)
    if (found !== 'late') return found
    // Its connection may be what hangs: the next ones are asked by a kubectl each, and then another proxy.
    asked = 0
    void stop().catch(() => {})
    return (options.timeout ?? within) < within ? NOT_IN_TIME : NO_ANSWER
  }
  const read: Shell['read'] = async (command, options = {}) => {
    const path = rawPath(command)
    const wanted = askedBy(scope, command)
    const answer = wanted ? await objects(wanted, options) : path && (await fromPod(path, options))
    return answer || (await shell.read(command, options))
  }
  return { shell: { ...shell, read }, [Symbol.asyncDispose]: stop }
}

/** Its time is over, which no kubectl gets a second time. */
const NOT_IN_TIME: Output = { stdout: '', stderr: '', exitCode: 124 }

/** What a kubectl says then. */
const NO_ANSWER: Output = {
  stdout: '',
  stderr:
    'Unable to connect to the server: context deadline exceeded (Client.Timeout exceeded while awaiting headers)\n',
  exitCode: 1,
}

type Answer = { status: number; text: string } | 'late' | undefined

interface Proxy {
  /** Undefined where there was no answer, or nobody waits for it any more. */
  get: (path: string, options: RunOptions) => Promise<Answer>
  stop: () => Promise<void>
}

async function startProxy(
  shell: Shell,
  command: (socket: string) => Command,
  within: number,
): Promise<Proxy> {
  const folder = temporaryFolder()
  const stops = new AsyncDisposableStack()
  stops.use(folder)
  try {
    const unix = join(folder.path, 'api')
    const running = await shell.start(command(unix), { env: KUBECTL_VARIABLES })
    stops.defer(() => running.stop())
    await running.line(/Starting to serve/, BEGINS_WITHIN)
    return { get: (path, options) => got(unix, path, within, options), stop: () => stops.disposeAsync() }
  } catch (error) {
    await stops.disposeAsync()
    throw error
  }
}

async function got(
  unix: string,
  path: string,
  within: number,
  { signal, timeout = within }: RunOptions,
): Promise<Answer> {
  const late = AbortSignal.timeout(Math.min(timeout, within))
  try {
    const answer = await fetch(`http://localhost${path}`, {
      unix,
      signal: signal ? AbortSignal.any([signal, late]) : late,
    })
    return { status: answer.status, text: await answer.text() }
  } catch {
    return late.aborted ? 'late' : undefined
  }
}

const object = z.looseObject({})
const list = z.object({ items: z.array(object) })

/** Whether a server's 404 is about an object, and not about a kind that it does not know. */
function isMissing({ name }: Asked, answer: Exclude<Answer, 'late'>, said: unknown): boolean {
  const details = z.object({ name: z.literal(name ?? '') })
  const status = z.object({ reason: z.literal('NotFound'), details })
  return name !== undefined && answer?.status === 404 && status.safeParse(said).success
}

/**
 * As a kubectl makes one list of several answers, each asked for after the one before: whoever names them in an order may
 * rely on it. Undefined where one is not answered well.
 */
async function together(
  wanted: readonly Asked[],
  { get }: Proxy,
  options: RunOptions,
): Promise<Output | 'late' | undefined> {
  const items: unknown[] = []
  for (const asked of wanted) {
    const { apiVersion, kind, path, name } = asked
    const answer = await get(path, options)
    if (answer === 'late') return 'late'
    const said = parseJson(answer?.text ?? '')
    if (isMissing(asked, answer, said)) continue
    const found = name === undefined ? list.safeParse(said).data?.items : [object.safeParse(said).data]
    if (answer?.status !== 200 || !found || found.includes(undefined)) return undefined
    items.push(...found.map((item) => ({ apiVersion, kind, ...item })))
  }
  return { stdout: JSON.stringify({ items }), stderr: '', exitCode: 0 }
}
