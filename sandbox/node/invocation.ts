/** How a container's program is called: argv, environment and directory, with its paths rewritten. */
import { join } from 'node:path'
import type { ContainerSpec, Pod } from '../kinds.ts'
import type { Store } from '../store.ts'
import { environmentOf, expand } from './environment.ts'
import type { Image } from './images.ts'
import type { Invocation } from './process.ts'
import type { Paths } from './volumes.ts'
import { rewrite } from './volumes.ts'

/** An image's label `sandbox.path:/app` names the directory on this machine that stands for its `/app`. */
export const PATH_LABEL = 'sandbox.path:'

/** Where a container's files are on this machine. */
export interface Places {
  /** The pod's own directory: where a program runs if nothing else is said. */
  directory: string
  /** Volume name → directory. */
  volumes: Map<string, string>
}

/** @throws ConfigError for a reference that does not resolve */
export function invocationOf(
  store: Store,
  pod: Pod,
  spec: ContainerSpec,
  image: Image,
  places: Places,
): Invocation & { rewritten: (command: string[]) => string[] } {
  const paths = pathsOf(spec, image, places)
  const plain = environmentOf(store, pod, spec, image.env)
  const env = Object.fromEntries(
    Object.entries(plain).map(([name, value]) => [
      name,
      isMachines(name, value) ? value : rewrite(value, paths),
    ]),
  )
  const entrypoint = spec.command ?? image.entrypoint
  const args = spec.args ?? (spec.command ? [] : image.cmd)
  return {
    argv: [...entrypoint, ...args].map((text) => rewrite(expand(text, plain), paths)),
    env,
    cwd: rewrite(spec.workingDir ?? image.workingDir, paths) || places.directory,
    rewritten: (command) => command.map((text) => rewrite(text, paths)),
  }
}

/** Where this machine's programs are: a volume at `/tmp` must not hide a checkout that lies there. */
function isMachines(name: string, value: string): boolean {
  return (name === 'PATH' || name === 'HOME') && value === process.env[name]
}

/** A volume covers what the image has at its place. */
function pathsOf({ volumeMounts = [] }: ContainerSpec, { labels }: Image, { volumes }: Places): Paths {
  const paths: Paths = new Map()
  for (const [label, path] of Object.entries(labels)) {
    if (label.startsWith(PATH_LABEL)) paths.set(label.slice(PATH_LABEL.length), path)
  }
  for (const { name, mountPath, subPath = '' } of volumeMounts) {
    const volume = volumes.get(name)
    if (volume) paths.set(mountPath.replace(/(?<=.)\/$/, ''), join(volume, subPath))
  }
  return paths
}
