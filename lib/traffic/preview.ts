/** How the idle color is reached: by the preview's own URL, or through the cluster's API. */
import { z } from 'zod'
import { names } from '../app/color.ts'
import { getNamed } from '../cluster/commands.ts'
import { KUBECTL_VARIABLES } from '../cluster/commands.ts'
import { service } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { DeployError } from '../errors.ts'

/** Calls `use` with the preview's URL. Through a port-forward, figures of speed say little: it is told so. */
export async function withPreview<T>(
  world: World,
  use: (preview: { url: string; forwarded: boolean }) => Promise<T>,
): Promise<T> {
  const { environment, log } = world
  if (environment.previewUrl) return await use({ url: environment.previewUrl, forwarded: false })
  const { context, namespace, app } = environment
  const name = names(app).preview
  // No port before the colon lets kubectl choose a free one here.
  const port = `:${await portOf(world, name)}`
  const forward = await world.shell.start(
    ['kubectl', `--context=${context}`, `--namespace=${namespace}`, 'port-forward', `service/${name}`, port],
    { env: KUBECTL_VARIABLES },
  )
  try {
    const [, local] = await forward.line(/Forwarding from 127\.0\.0\.1:(\d+)/, 15_000)
    log.info(`the preview is reached through kubectl port-forward (set "previewUrl" to reach it directly)`)
    return await use({ url: `http://127.0.0.1:${local}`, forwarded: true })
  } finally {
    await forward.stop()
  }
}

const portForm = z.object({ name: z.string().default(''), port: z.number() })
const withPorts = service.extend({ spec: z.object({ ports: z.array(portForm).default([]) }) })

/** The Service's port that speaks plain http: the one of that name, else its first. */
async function portOf({ kubectl }: World, name: string): Promise<number> {
  const [found] = await kubectl.objects(getNamed(`service/${name}`), withPorts)
  const ports = found?.spec.ports ?? []
  const chosen = ports.find((port) => port.name === 'http') ?? ports[0]
  const isSecure = chosen?.name.startsWith('https') || chosen?.port === 443
  if (chosen && !isSecure) return chosen.port
  const problem = chosen
    ? `speaks https (port ${chosen.port}), and no certificate is for 127.0.0.1`
    : 'has no port, or is not there'
  throw new DeployError(
    `Service ${name} ${problem}: set "previewUrl" to where the idle color can be reached, or name its port for plain http "http"`,
  )
}
