/** Probes and hooks: one attempt of an httpGet, tcpSocket, exec or sleep. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { ContainerSpec, Handler } from '../kinds.ts'
import { pause } from './pause.ts'
import type { Invocation } from './process.ts'
import { runToEnd } from './process.ts'
import type { Watchdog } from './watchdog.ts'

/** What a handler is tried on. */
export interface Target {
  address: string
  ports: NonNullable<ContainerSpec['ports']>
  /** How the container would run a program. */
  invocation: (command: string[]) => Invocation
  watchdog: Watchdog
}

export interface Outcome {
  isSuccess: boolean
  /** Why not, in a kubelet's words. */
  output: string
}

/** Never throws for a handler that fails: that is its outcome. */
export async function attempt(handler: Handler, target: Target, signal: AbortSignal): Promise<Outcome> {
  try {
    if (handler.httpGet) return await httpGet(handler.httpGet, target, signal)
    if (handler.tcpSocket) return await tcpSocket(handler.tcpSocket, target, signal)
    if (handler.exec) return await exec(handler.exec.command, target, signal)
    if (handler.sleep) return succeeded(await pause(handler.sleep.seconds * 1000, signal))
    return failed('the sandbox knows httpGet, tcpSocket, exec and sleep only')
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error))
  }
}

function succeeded(isSuccess: boolean): Outcome {
  return { isSuccess, output: '' }
}

function failed(output: string): Outcome {
  return { isSuccess: false, output }
}

async function httpGet(get: NonNullable<Handler['httpGet']>, target: Target, signal: AbortSignal) {
  const scheme = (get.scheme ?? 'HTTP').toLowerCase()
  const path = get.path?.startsWith('/') ? get.path : `/${get.path ?? ''}`
  const place = `${get.host ?? target.address}:${portNumber(get.port, target)}`
  const url = `${scheme}://${place}${path}`
  const headers = [
    ['User-Agent', 'kube-probe/1.32'],
    ['Accept', '*/*'],
    ...(get.httpHeaders ?? []).map(({ name, value }) => [name, value]),
  ] as [string, string][]
  try {
    const response = await fetch(url, {
      headers,
      signal,
      redirect: 'manual',
      keepalive: false,
      tls: { rejectUnauthorized: false }, // as a kubelet, which does not check certificates
    })
    await response.body?.cancel()
    const { status } = response
    return status < 400 ? succeeded(true) : failed(`HTTP probe failed with statuscode: ${status}`)
  } catch (error) {
    const timeout = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    return failed(`Get "${url}": ${signal.aborted ? timeout : reasonOf(error, place)}`)
  }
}

function reasonOf(error: unknown, place: string): string {
  if (!(error instanceof Error)) return String(error)
  const isRefused = 'code' in error && ['ConnectionRefused', 'ECONNREFUSED'].includes(String(error.code))
  return isRefused ? `dial tcp ${place}: connect: connection refused` : error.message
}

async function tcpSocket(at: NonNullable<Handler['tcpSocket']>, target: Target, signal: AbortSignal) {
  const host = at.host ?? target.address
  const port = portNumber(at.port, target)
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect', { signal })
    return succeeded(true)
  } catch (error) {
    return failed(
      signal.aborted ? `dial tcp ${host}:${port}: i/o timeout` : reasonOf(error, `${host}:${port}`),
    )
  } finally {
    socket.destroy()
  }
}

async function exec(command: string[], target: Target, signal: AbortSignal): Promise<Outcome> {
  const { exitCode, output } = await runToEnd(target.invocation(command), target.watchdog, signal)
  if (signal.aborted) return failed(`command ${JSON.stringify(command.join(' '))} timed out`)
  return { isSuccess: exitCode === 0, output: output || `command terminated with exit code ${exitCode}` }
}

function portNumber(port: number | string, { ports }: Target): number {
  const named = ports.find(({ name }) => name === port)?.containerPort
  const number = named ?? Number(port)
  if (!Number.isInteger(number)) throw new Error(`couldn't find port: ${port}`)
  return number
}
