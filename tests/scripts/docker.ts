/**
 * A docker on PATH that builds nothing: it keeps its images in a file, pushes real manifests to a real registry,
 * and notes what it was called with. An image is a configuration with its labels and the file `content` of its
 * context; no two builds make the same one, as with BuildKit.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const program = `#!${process.execPath}
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const state = import.meta.dir
const args = process.argv.slice(2)
appendFileSync(join(state, 'calls.jsonl'), JSON.stringify(args) + '\\n')
const read = (name, otherwise) => existsSync(join(state, name)) ? JSON.parse(readFileSync(join(state, name), 'utf8')) : otherwise
const store = read('store.json', { names: {}, images: {} })
const settings = read('settings.json', {})
const sha = (text) => 'sha256:' + createHash('sha256').update(text).digest('hex')
const flag = (name) => args.filter((arg) => arg.startsWith('--' + name + '=')).map((arg) => arg.slice(name.length + 3))
const type = 'application/vnd.oci.image.manifest.v1+json'
const split = (name) => /^([^/]+)\\/(.+?)(?:@(.+)|:([^:]+))$/.exec(name)
const url = (host, path) => 'http://' + host + '/v2/' + path

async function push(name, image) {
  const [, host, path, , tag] = split(name)
  await fetch(url(host, path + '/blobs/uploads/?digest=' + sha(image)), { method: 'POST', body: image })
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha(image), size: image.length }
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType: type, config, layers: [] })
  const { ok } = await fetch(url(host, path + '/manifests/' + tag), { method: 'PUT', headers: { 'content-type': type }, body: manifest })
  if (!ok) { console.error('denied'); process.exit(1) }
  return name.slice(0, -tag.length - 1) + '@' + sha(manifest)
}

const keep = (name, image) => {
  store.names[name] = sha(image)
  store.images[sha(image)] ??= { image, pushed: [] }
}
const verb = args[0] === 'buildx' || args[0] === 'image' ? args[0] + ' ' + args[1] : args[0]
if (verb === 'buildx version' || verb === 'buildx build') {
  if (!settings.buildx) { console.error("docker: unknown command: docker buildx"); process.exit(1) }
}
if (verb === 'build' || verb === 'buildx build') {
  const content = readFileSync(join(args.at(-1), 'content'), 'utf8')
  const Labels = Object.fromEntries(flag('label').map((label) => label.split(/=(.*)/s)))
  const image = JSON.stringify({ created: crypto.randomUUID(), config: { Labels }, content, args: flag('build-arg'), platforms: flag('platform') })
  const [name] = flag('tag')
  console.log('built ' + name)
  if (args.includes('--push')) await push(name, image)
  else keep(name, image)
} else if (verb === 'push') {
  const known = store.images[store.names[args[1]]]
  known.pushed.push(await push(args[1], known.image))
  console.log('pushed ' + args[1])
  // Somebody else, at the same moment.
  if (settings.race && args[1].endsWith(settings.race)) await push(args[1], JSON.stringify({ content: 'theirs' }))
  if (settings.lies) known.pushed = ['x@sha256:' + 'f'.repeat(64)]
} else if (verb === 'image inspect') {
  const id = store.names[args.at(-1)]
  if (!id) process.exit(1)
  console.log(JSON.stringify({ RepoDigests: store.images[id].pushed }))
} else if (verb === 'login') {
  const password = await Bun.stdin.text()
  appendFileSync(join(state, 'logins.jsonl'), JSON.stringify({ folder: process.env.DOCKER_CONFIG, config: existsSync(join(process.env.DOCKER_CONFIG, 'config.json')) && readFileSync(join(process.env.DOCKER_CONFIG, 'config.json'), 'utf8') }) + '\\n')
  if (password !== settings.password) { console.error('Error: denied: ' + password); process.exit(1) }
  writeFileSync(join(process.env.DOCKER_CONFIG, 'config.json'), JSON.stringify({ auths: { [args.at(-1)]: { auth: btoa('me:' + password) } } }))
}
writeFileSync(join(state, 'store.json'), JSON.stringify(store))
`

export interface DockerSettings {
  buildx?: boolean
  /** What a login needs. */
  password?: string
  /** The end of a tag of ours that somebody else pushes to right after docker has. */
  race?: string
  /** It says that it pushed something else. */
  lies?: boolean
}

export class StandInDocker {
  /** To be on PATH. */
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'docker'), program)
    chmodSync(join(folder, 'docker'), 0o755)
  }

  set(settings: DockerSettings): void {
    writeFileSync(join(this.folder, 'settings.json'), JSON.stringify(settings))
  }

  /** What it was called with since it was asked last. */
  calls(): string[][] {
    const file = join(this.folder, 'calls.jsonl')
    const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
    writeFileSync(file, '')
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as string[])
  }

  /** Where its logins were to be kept, and what was configured there before. */
  logins(): { folder: string; config: string | false }[] {
    const text = readFileSync(join(this.folder, 'logins.jsonl'), 'utf8').trim()
    return text.split('\n').map((line) => JSON.parse(line) as { folder: string; config: string | false })
  }
}
