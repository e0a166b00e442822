/**
 * The cluster that is rehearsed on: a sandbox of our own, or, with E2E_CLUSTER=real, the one that KUBECONFIG and
 * REGISTRY name. Either way through a copy of the kubeconfig, so that nothing touches the user's.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { output, ROOT, run, type Finished } from './program.ts'

export interface Cluster {
  kind: 'sandbox' | 'real'
  /** For files of the rehearsal; removed at the end. */
  folder: string
  kubeconfig: string
  context: string
  registry: string
  /** What a program needs to speak to it. */
  env: Record<string, string>
  /** Runs the real kubectl as an administrator. */
  kubectl(...args: string[]): Promise<Finished>
  /** What the API server answers to a GET, as an administrator: for who looks often, for whom each kubectl is a burden. */
  read(path: string): Promise<unknown>
  /** Ends a sandbox with all its containers. A real cluster is left as it is. */
  stop(): Promise<void>
}

/** Not /tmp: the pods' own volume covers that, and on a sandbox they share a database file with us. */
const VISIBLE = '/var/tmp'

/** @throws Error when there is no cluster to be had */
export async function startCluster(): Promise<Cluster> {
  const folder = mkdtempSync(join(VISIBLE, 'rehearsal-'))
  const real = process.env.E2E_CLUSTER === 'real'
  const { registry, variables, end } = real ? existing() : await sandbox()
  const kubeconfig = join(folder, 'kubeconfig')
  // kubectl keeps what it learnt of a server for hours; a sandbox may come back on the same port as another.
  const env = {
    KUBECONFIG: kubeconfig,
    KUBECACHEDIR: join(folder, 'kube-cache'),
    NO_COLOR: '1',
    // kubectl lives for a tenth of a second, and a sixth of that it would collect garbage; a deployment calls it 50 times.
    GOGC: 'off',
  }
  const raw = await output(['kubectl', 'config', 'view', '--raw', '--flatten'], { env: variables })
  writeFileSync(kubeconfig, raw, { mode: 0o600 })
  const context = (await output(['kubectl', 'config', 'current-context'], { env })).trim()
  const proxy = await startProxy(join(folder, 'api'), env)
  return {
    kind: real ? 'real' : 'sandbox',
    folder,
    kubeconfig,
    context,
    registry,
    env,
    kubectl: (...args) => run(['kubectl', ...args], { env }),
    read: async (path) => {
      const answer = await fetch(`http://localhost${path}`, {
        unix: proxy.socket,
        signal: AbortSignal.timeout(60_000),
      })
      if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`)
      return await answer.json()
    },
    stop: async () => {
      await proxy.stop()
      await end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Ends with this process, however that ends: who reads what this process never writes ends the group then. */
async function startProxy(socket: string, env: Record<string, string>) {
  const script =
    'exec 3<&0; { read -r _ <&3; kill 0; } >/dev/null & exec kubectl proxy --unix-socket="$0" </dev/null 3<&-'
  const child = Bun.spawn(['sh', '-c', script, socket], {
    env: { ...process.env, ...env },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
    detached: true,
  })
  const line = await firstLine(child.stdout)
  if (!line.startsWith('Starting to serve')) throw new Error(`kubectl proxy did not start: ${line}`)
  const stop = async (): Promise<void> => {
    await child.stdin.end()
    await child.exited
  }
  return { socket, stop }
}

interface Source {
  registry: string
  variables: Record<string, string>
  end: () => Promise<void>
}

function existing(): Source {
  const { KUBECONFIG, REGISTRY } = process.env
  if (!KUBECONFIG || !REGISTRY) throw new Error('E2E_CLUSTER=real needs KUBECONFIG and REGISTRY')
  return { registry: REGISTRY, variables: { KUBECONFIG }, end: async () => {} }
}

/** Ends with this process, however that ends. */
async function sandbox(): Promise<Source> {
  const child = Bun.spawn([process.execPath, '--no-orphans', 'sandbox/start.ts'], {
    cwd: ROOT,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const line = await firstLine(child.stdout)
  const [, file, registry] = /^export KUBECONFIG=(\S+) REGISTRY=(\S+)/.exec(line) ?? []
  if (!file || !registry) throw new Error(`the sandbox did not start: ${line || 'it said nothing'}`)
  const end = async (): Promise<void> => {
    child.kill('SIGTERM')
    await child.exited
  }
  return { registry, variables: { KUBECONFIG: file }, end }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  const reader = stream.getReader()
  let text = ''
  while (!text.includes('\n')) {
    const { value, done } = await reader.read()
    if (done) break
    text += decoder.decode(value, { stream: true })
  }
  reader.releaseLock()
  return text.split('\n')[0] ?? ''
}
