/** What `docker login` stored for a registry: in its own file, or in a credential helper. */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Shell } from '../command.ts'
import { parseJson } from '../json.ts'
import { HUB } from './reference.ts'

/** `user:password`, or a token that the registry's own service gives others for (`az acr login`, single sign-on). */
export type Login = { basic: string } | { identityToken: string }

const dockerConfig = z.object({
  auths: z
    .record(z.string(), z.object({ auth: z.string().optional(), identitytoken: z.string().optional() }))
    .default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().optional(),
})

const told = z.object({ Username: z.string(), Secret: z.string() })

/** The name by which docker keeps a registry's login: the hub's is that of its first version. */
export const loginKey = (registry: string): string =>
  [HUB, 'docker.io', 'index.docker.io'].includes(registry) ? 'https://index.docker.io/v1/' : registry

export async function storedLogin(registry: string, shell: Shell): Promise<Login | undefined> {
  const key = loginKey(registry)
  const file = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json')
  const text = await readFile(file, 'utf8').catch(() => '{}')
  const config = dockerConfig.safeParse(parseJson(text)).data
  // An empty name is docker's own file, for this registry alone.
  const helper = config?.credHelpers[key] ?? config?.credsStore
  if (helper) {
    const { stdout, exitCode } = await shell.read([`docker-credential-${helper}`, 'get'], { input: key })
    const { data } = told.safeParse(parseJson(stdout))
    if (exitCode === 0 && data?.Username === '<token>') return { identityToken: data.Secret }
    if (exitCode === 0 && data) return { basic: `${data.Username}:${data.Secret}` }
  }
  const auths = config?.auths ?? {}
  const same = Object.keys(auths).find((name) => hostOf(name) === hostOf(key))
  const stored = auths[key] ?? (same === undefined ? undefined : auths[same])
  if (stored?.identitytoken) return { identityToken: stored.identitytoken }
  return stored?.auth ? { basic: Buffer.from(stored.auth, 'base64').toString() } : undefined
}

/** Tools write `https://ghcr.io` and `ghcr.io/` as well, and docker takes them (ConvertToHostname). */
const hostOf = (name: string): string => name.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
