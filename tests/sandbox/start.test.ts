/** The start command as a process: its line, its options, its end, and the end of its containers. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pushImage } from '../../sandbox/push.ts'
import { PATIENCE_MS, PROGRAM } from './fixtures/cluster.ts'

setDefaultTimeout(2 * PATIENCE_MS)

const running: { kill(signal: 'SIGTERM'): void; exited: Promise<number> }[] = []
afterEach(async () => {
  for (const child of running.splice(0)) {
    child.kill('SIGTERM')
    await child.exited
  }
})

async function start(...args: string[]) {
  const child = Bun.spawn(['bun', 'sandbox/start.ts', ...args], { stdout: 'pipe', stderr: 'ignore' })
  running.push(child)
  const { value } = await child.stdout.getReader().read()
  const line = new TextDecoder().decode(value)
  const [, kubeconfig = '', registry = ''] =
    /^export KUBECONFIG=(\S+) REGISTRY=(127\.0\.0\.1:\d+)\n$/.exec(line) ?? []
  return { child, line, kubeconfig, registry }
}

async function kubectl(kubeconfig: string, ...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', HOME: join(kubeconfig, '..'), KUBECONFIG: kubeconfig }
  return new Response(Bun.spawn(['kubectl', ...args], { env, stderr: 'inherit' }).stdout).text()
}

/** The processes that a pod's container consists of: those that are told its address. */
async function processesOf(podIP: string): Promise<string[]> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const environments = await Promise.all(pids.map(environmentOf))
  return pids.filter((_pid, index) => environments[index]?.includes(`HOST=${podIP}`))
}

/** Empty for a process that has ended, or that is somebody else's. */
async function environmentOf(pid: string): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
  return text.split('\0')
}

/** A sandbox with a pod whose program has a child. */
async function startWithPod() {
  const started = await start()
  const image = await pushImage(`${started.registry}/app:1`, {
    entrypoint: ['bun', PROGRAM],
    env: ['CHILD=1'],
  })
  await kubectl(started.kubeconfig, 'run', 'app', `--image=${image}`)
  await kubectl(started.kubeconfig, 'wait', '--for=condition=Ready', 'pod/app', '--timeout=30s')
  const podIP = await kubectl(started.kubeconfig, 'get', 'pod', 'app', '-o', 'jsonpath={.status.podIP}')
  while ((await processesOf(podIP)).length < 2) await Bun.sleep(10)
  return { ...started, podIP }
}

async function untilNone(podIP: string, ms: number): Promise<number> {
  const end = Date.now() + ms
  for (;;) {
    const { length } = await processesOf(podIP)
    if (!length || Date.now() > end) return length
    await Bun.sleep(20)
  }
}

test('prints one line that a shell can evaluate, and kubectl works with it', async () => {
  const { line, kubeconfig } = await start('--context', 'rehearsal')
  expect(line).toMatch(/^export KUBECONFIG=\/\S+ REGISTRY=127\.0\.0\.1:\d+\n$/)
  expect(await kubectl(kubeconfig, 'config', 'current-context')).toBe('rehearsal\n')
  expect(await kubectl(kubeconfig, 'get', 'nodes', '--no-headers')).toMatch(/^sandbox +Ready/)
})

test('SIGTERM ends it with 0, its containers and its temporary directory with it', async () => {
  const { child, kubeconfig, podIP } = await startWithPod()
  child.kill('SIGTERM')
  expect(await child.exited).toBe(0)
  expect(await untilNone(podIP, 2000)).toBe(0)
  expect(existsSync(join(kubeconfig, '..'))).toBe(false)
})

test('SIGKILL ends its containers too, with their children, within 2 s', async () => {
  const { child, podIP, kubeconfig } = await startWithPod()
  child.kill('SIGKILL')
  await child.exited
  expect(await untilNone(podIP, 2000)).toBe(0)
  rmSync(join(kubeconfig, '..'), { recursive: true })
})

test('--data-dir and --kubeconfig are kept', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-start-'))
  const wanted = join(directory, 'config')
  const { child, kubeconfig } = await start('--data-dir', join(directory, 'data'), '--kubeconfig', wanted)
  expect(kubeconfig).toBe(wanted)
  child.kill('SIGINT')
  expect(await child.exited).toBe(0)
  expect(JSON.parse(readFileSync(wanted, 'utf8'))).toMatchObject({ 'current-context': 'sandbox' })
  expect(existsSync(join(directory, 'data'))).toBe(true)
  rmSync(directory, { recursive: true })
})

describe('usage', () => {
  test.each([
    [['--help'], 0, ''],
    [['--nonsense'], 2, "sandbox: Unknown option '--nonsense'"],
    [['--port', 'http'], 2, 'sandbox: --port http: expected a port number'],
    [['--port', '99999'], 2, 'sandbox: --port 99999: expected a port number'],
  ])('%j exits %i', (args, exitCode, message) => {
    const result = Bun.spawnSync(['bun', 'sandbox/start.ts', ...args])
    expect(result.exitCode).toBe(exitCode)
    expect(result.stderr.toString()).toStartWith(message)
  })

  test('--help fits a screen', () => {
    const lines = Bun.spawnSync(['bun', 'sandbox/start.ts', '--help']).stdout.toString().split('\n')
    expect(lines.length).toBeLessThanOrEqual(25)
  })

  test('a port that is taken: exit 1 with a sentence', () => {
    const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    const result = Bun.spawnSync(['bun', 'sandbox/start.ts', '--port', String(server.port)])
    server.stop()
    expect(result.exitCode).toBe(1)
    expect(result.stderr.toString()).toContain('sandbox: ')
  })
})
