/**
 * Images of the example application: one for each version, and for each fault that a rehearsal switches on.
 * What differs between them is their environment alone, so that a registry gives each its own digest.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from './cluster.ts'
import { output, ROOT } from './program.ts'

const APP = join(ROOT, 'examples/chatbot-platform')

export interface Images {
  /** `REGISTRY/NAME`, as deploy.yaml names it. */
  name: string
  /** Pushes a version with these faults, as the tag of its version. */
  push(version: string, faults?: Readonly<Record<string, string>>): Promise<string>
}

/** Builds the application, once. Each image is pushed once, however often it is asked for. */
export async function buildImages(cluster: Cluster): Promise<Images> {
  const dist = join(cluster.folder, 'dist')
  await output([process.execPath, 'run', 'build'], { cwd: APP, env: { OUT: dist } })
  const name = `${cluster.registry}/chatbot-platform`
  const pushOne = cluster.kind === 'sandbox' ? sandboxImage(dist) : await dockerImage(cluster)
  const pushed = new Map<string, Promise<string>>()
  return {
    name,
    push: (version, faults = {}) => {
      const tag = `${name}:${version}`
      const pushing = pushed.get(tag) ?? pushOne(tag, { APP_VERSION: version, ...faults }).then(() => version)
      pushed.set(tag, pushing)
      return pushing
    },
  }
}

type Push = (tag: string, env: Record<string, string>) => Promise<void>

function sandboxImage(dist: string): Push {
  return async (tag, env) => {
    const variables = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
    const program = ['--path', `/app=${dist}`, '--', 'bun', '/app/server.js']
    await output([process.execPath, 'sandbox/push.ts', tag, ...variables, ...program])
  }
}

/** No hub is asked: the base is made of this machine's Bun. */
async function dockerImage({ folder }: Cluster): Promise<Push> {
  const base = (await output([join(APP, 'base-image.sh')], { env: { BUN: process.execPath } })).trim()
  const app = 'rehearsal-chatbot-platform'
  const dockerfile = ['--file', join(APP, 'Dockerfile'), '--build-arg', `BASE_IMAGE=${base}`]
  await output(['docker', 'build', '--quiet', '--tag', app, ...dockerfile, folder])
  return async (tag, env) => {
    const context = join(folder, 'image', tag.replace(/\W+/g, '-'))
    mkdirSync(context, { recursive: true })
    const lines = Object.entries(env).map(([name, value]) => `ENV ${name}="${value}"`)
    writeFileSync(join(context, 'Dockerfile'), [`FROM ${app}`, ...lines, ''].join('\n'))
    await output(['docker', 'build', '--quiet', '--tag', tag, context])
    await output(['docker', 'push', '--quiet', tag])
  }
}
