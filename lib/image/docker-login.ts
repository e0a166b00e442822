/**
 * A login for as long as a script runs: REGISTRY_USERNAME and REGISTRY_PASSWORD go into a docker configuration
 * of their own, in a folder that only this user can read and that is removed afterwards.
 */
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Shell } from '../command.ts'
import { DeployError, Exit } from '../errors.ts'
import { parseJson } from '../json.ts'
import { temporaryFolder } from '../temporary.ts'
import { login } from './docker.ts'
import { HUB } from './reference.ts'
import { loginKey } from './stored-login.ts'

type Variables = Record<string, string | undefined>

/**
 * Runs `body` logged in, if the environment holds a login; docker and registry.ts find it by DOCKER_CONFIG.
 * @throws DeployError 2 when half of it is missing, 1 when the registry refuses it
 */
export async function loggedIn<T>(
  { registry, shell, variables }: { registry: string; shell: Shell; variables: Variables },
  body: () => Promise<T>,
): Promise<T> {
  const { REGISTRY_USERNAME: username, REGISTRY_PASSWORD: password, DOCKER_CONFIG: before } = variables
  if (!username && !password) return await body()
  if (!username || !password) {
    const missing = username ? 'REGISTRY_PASSWORD' : 'REGISTRY_USERNAME'
    throw new DeployError(`${missing} is not set, which a login needs too`, Exit.usage)
  }
  using temporary = temporaryFolder()
  const folder = temporary.path
  try {
    adopt(before ?? join(homedir(), '.docker'), folder, loginKey(registry))
    variables.DOCKER_CONFIG = folder
    const { exitCode, stderr } = await shell.write(
      login(registry === HUB ? 'docker.io' : registry, username),
      {
        input: password,
      },
    )
    if (exitCode !== 0) {
      const why = stderr.trim().split('\n').at(-1)?.replaceAll(password, '***')
      throw new DeployError(`The registry ${registry} refuses the login of REGISTRY_USERNAME: ${why}`)
    }
    return await body()
  } finally {
    if (before === undefined) delete variables.DOCKER_CONFIG
    else variables.DOCKER_CONFIG = before
  }
}

/**
 * Plugins, builders and contexts stay what they are, and other registries' logins where they are kept. A store
 * outside the folder would keep this one's: an empty name is docker's own file, for this registry alone.
 */
function adopt(from: string, to: string, key: string): void {
  for (const name of entries(from)) if (name !== 'config.json') symlinkSync(join(from, name), join(to, name))
  const known = config.safeParse(parseJson(read(join(from, 'config.json')))).data
  const credHelpers = { ...known?.credHelpers, [key]: '' }
  writeFileSync(join(to, 'config.json'), JSON.stringify({ ...known, credHelpers }), { mode: 0o600 })
}

const config = z.looseObject({ credHelpers: z.record(z.string(), z.string()).optional() })

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // there is none yet
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // there is none yet
  }
}
