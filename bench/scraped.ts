/** A real Prometheus beside a rehearsal, which reads its pods as they come and go. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Workspace } from '../examples/rehearsal/workspace.ts'
import { startPrometheus } from '../tests/monitoring/servers.ts'

const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()) }),
      status: z.object({ podIP: z.string().optional() }),
    }),
  ),
})

/** Tells Prometheus which pods there are, as its own discovery would; until it is stopped. */
function discover(workspace: Workspace, file: string): () => void {
  const look = async (): Promise<void> => {
    const { items } = podList.parse(JSON.parse(await workspace.kubectl('get', 'pods', '-o', 'json')))
    const targets = items.flatMap(({ metadata: { name, labels }, status: { podIP } }) => {
      const { app = '', color = '' } = labels
      if (!podIP || !color) return []
      return { targets: [`${podIP}:9091`], labels: { app, color, pod: name, namespace: workspace.namespace } }
    })
    writeFileSync(`${file}.new`, JSON.stringify(targets))
    renameSync(`${file}.new`, file)
  }
  const timer = setInterval(() => void look().catch(() => {}), 2000)
  return () => clearInterval(timer)
}

/** @param every s from one scrape to the next */
export async function scraped(
  workspace: Workspace,
  every: number,
): Promise<AsyncDisposable & { url: string }> {
  const targets = join(workspace.folder, 'targets.json')
  writeFileSync(targets, '[]')
  const scrape = { job_name: 'pods', file_sd_configs: [{ files: [targets], refresh_interval: '5s' }] }
  const global = { scrape_interval: `${every}s`, scrape_timeout: '3s' }
  const prometheus = await startPrometheus(workspace.folder, { global, scrape_configs: [scrape] })
  const end = discover(workspace, targets)
  return {
    url: prometheus.url,
    [Symbol.asyncDispose]: async () => {
      end()
      await prometheus[Symbol.asyncDispose]()
    },
  }
}
