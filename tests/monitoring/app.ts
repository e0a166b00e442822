/** The example in a color, people who use it, and where Prometheus finds it. */
import { startPod, type Pod } from '../examples/chatbot-platform/process.ts'
import { podName } from './servers.ts'

export const place = { app: 'chatbot-platform', namespace: 'chatbot-platform-prod' }

export const kill = ({ child }: Pod): void => child.kill('SIGKILL')

export async function pod(
  color: string,
  folder: string,
  faults: Record<string, string>,
): Promise<Pod & { metrics: string }> {
  const running = await startPod({
    APP_COLOR: color,
    DATABASE_URL: `sqlite:${folder}/${color}.db`,
    REPLY_WORD_MS: '0',
    TEST_ACCOUNTS: 'alice:alice-password:user',
    ...faults,
  })
  const [, metrics = ''] = /"metrics":"http:\/\/([^/"]+)/.exec(running.log.text) ?? []
  return { ...running, metrics }
}

/** People who use a color, one after the other, until they are sent home. */
export async function people(pod: Pod, home: AbortSignal): Promise<void> {
  while (!home.aborted) {
    await visit(pod).catch(() => {}) // it is being stopped
    await Bun.sleep(50)
  }
}

/** Signs in, starts a conversation, writes, and looks at the page. */
async function visit({ url }: Pod): Promise<void> {
  const json = { 'content-type': 'application/json' }
  const account = JSON.stringify({ name: 'alice', password: 'alice-password' })
  const session = await fetch(`${url}/api/session`, { method: 'POST', headers: json, body: account })
  const headers = { ...json, cookie: session.headers.get('set-cookie')?.split(';')[0] ?? '' }
  const started = await fetch(`${url}/api/conversations`, { method: 'POST', headers, body: '{}' })
  const conversation = started.headers.get('location')
  if (conversation) {
    const body = JSON.stringify({ text: 'hello' })
    await (await fetch(`${url}${conversation}/messages`, { method: 'POST', headers, body })).text()
  }
  for (let page = 0; page < 5; page++) await (await fetch(`${url}/`)).text()
}

export function target(address: string, color: string, port: string): object {
  const meta = { pod_label_app: place.app, pod_label_color: color, pod_container_port_name: port }
  const labels = { ...meta, namespace: place.namespace, pod_name: podName(color) }
  return {
    targets: [address],
    labels: Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [`__meta_kubernetes_${key}`, value]),
    ),
  }
}

export async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it did not come about within 30 s')
    await Bun.sleep(100)
  }
}
