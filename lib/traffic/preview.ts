/** How the idle color is reached: by the preview's own URL, or through the cluster's API. */
import { names } from '../app/color.ts'
import type { World } from '../cluster/world.ts'

/** Calls `use` with the preview's URL. Through a port-forward, figures of speed say little: it is told so. */
export async function withPreview<T>(
  world: World,
  use: (preview: { url: string; forwarded: boolean }) => Promise<T>,
): Promise<T> {
  const { environment, log } = world
  if (environment.previewUrl) return await use({ url: environment.previewUrl, forwarded: false })
  const { context, namespace, app } = environment
  const service = `service/${names(app).preview}`
  // Port 80 is the Service's; 0 lets kubectl choose a free one here.
  const forward = world.shell.start([
    'kubectl',
    `--context=${context}`,
    `--namespace=${namespace}`,
    'port-forward',
    service,
    ':80',
  ])
  try {
    const [, port] = await forward.line(/Forwarding from 127\.0\.0\.1:(\d+)/, 15_000)
    log.info(`the preview is reached through kubectl port-forward (set "previewUrl" to reach it directly)`)
    return await use({ url: `http://127.0.0.1:${port}`, forwarded: true })
  } finally {
    await forward.stop()
  }
}
