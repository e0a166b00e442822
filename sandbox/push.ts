#!/usr/bin/env bun
/**
 * Pushes an image for the sandbox: no layers, only a configuration that says which local program to run.
 * The protocol is the standard one, so any registry takes it and the digest is a real one.
 */
import { parseArgs } from 'node:util'
import { parseReference, sha256 } from './node/images.ts'
import { PATH_LABEL } from './node/invocation.ts'

const USAGE = `usage: bun sandbox/push.ts IMAGE[:TAG] [options] -- COMMAND [ARGUMENT…]

Pushes an image whose container is a local program, and prints IMAGE@sha256:…

  IMAGE                REGISTRY/NAME, for example 127.0.0.1:5000/app:1.2.3
  --env NAME=VALUE     a variable of the program (may be repeated)
  --label NAME=VALUE   a label of the image (may be repeated)
  --path /PATH=DIR     the directory on this machine that stands for /PATH in the image (may be repeated)
  --workdir DIR        where the program runs
  --help               this text`

export interface ImageConfig {
  entrypoint: string[]
  env?: string[]
  labels?: Record<string, string>
  workingDir?: string
}

const TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
}

/** @returns the reference by digest. @throws Error naming the request that the registry refused */
export async function pushImage(image: string, config: ImageConfig): Promise<string> {
  const { registry, repository, version } = parseReference(image)
  const base = `http://${registry}/v2/${repository}`
  const content = JSON.stringify(configOf(config))
  const digest = `sha256:${sha256(content)}`
  await putBlob(base, content, digest)
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config: { mediaType: TYPES.config, digest, size: Buffer.byteLength(content) },
    layers: [],
  })
  const headers = { 'Content-Type': TYPES.manifest }
  await send(`${base}/manifests/${version}`, { method: 'PUT', headers, body: manifest }, 201)
  return `${registry}/${repository}@sha256:${sha256(manifest)}`
}

function configOf({ entrypoint, env, labels, workingDir }: ImageConfig) {
  return {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Entrypoint: entrypoint,
      ...(env?.length && { Env: env }),
      ...(workingDir && { WorkingDir: workingDir }),
      ...(labels && Object.keys(labels).length > 0 && { Labels: labels }),
    },
    rootfs: { type: 'layers', diff_ids: [] },
  }
}

async function putBlob(base: string, content: string, digest: string): Promise<void> {
  const started = await send(`${base}/blobs/uploads/`, { method: 'POST' }, 202)
  const location = new URL(started.headers.get('Location') ?? '', base)
  location.searchParams.set('digest', digest)
  const headers = { 'Content-Type': 'application/octet-stream' }
  await send(location.href, { method: 'PUT', headers, body: content }, 201)
}

async function send(url: string, init: RequestInit, expected: number): Promise<Response> {
  const response = await fetch(url, init)
  if (response.status === expected) return response
  throw new Error(`${init.method} ${url} answered ${response.status}: ${await response.text()}`)
}

/** `NAME=VALUE` pairs as an object. @throws UsageError */
function pairs(option: string, texts: string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new UsageError(`--${option} ${text}: expected NAME=VALUE`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

class UsageError extends Error {}

async function main(argv: string[]): Promise<void> {
  const { options, image, command } = parse(argv)
  if (options.help) {
    console.log(USAGE)
    return
  }
  const paths = Object.entries(pairs('path', options.path ?? []))
  const labels = {
    ...pairs('label', options.label ?? []),
    ...Object.fromEntries(paths.map(([path, directory]) => [`${PATH_LABEL}${path}`, directory])),
  }
  pairs('env', options.env ?? []) // checked here, sent as they are
  if (!image || !command.length)
    throw new UsageError('an image and, after --, a command are needed; see --help')
  const config = { entrypoint: command, env: options.env ?? [], labels }
  console.log(await pushImage(image, { ...config, ...(options.workdir && { workingDir: options.workdir }) }))
}

function parse(argv: string[]) {
  const separator = argv.indexOf('--')
  const [own, command] = separator < 0 ? [argv, []] : [argv.slice(0, separator), argv.slice(separator + 1)]
  try {
    const { values, positionals } = parseArgs({
      args: own,
      allowPositionals: true,
      options: {
        env: { type: 'string', multiple: true },
        label: { type: 'string', multiple: true },
        path: { type: 'string', multiple: true },
        workdir: { type: 'string' },
        help: { type: 'boolean' },
      },
    })
    return { options: values, image: positionals[0], command }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2))
  } catch (error) {
    console.error(`push: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}
