/** The environment of a container: from its image, the Services of its namespace, and its own spec. */
import type { ContainerSpec, EnvVar, Pod, Service } from '../kinds.ts'
import type { Store } from '../store.ts'
import { dataOf, valueFrom } from './config-data.ts'

export type Environment = Record<string, string>

/**
 * `HOST` comes last and cannot be overridden: a container has no network of its own here, so its process is told
 * which address is its pod's.
 * @throws ConfigError for a reference that does not resolve
 */
export function environmentOf(store: Store, pod: Pod, spec: ContainerSpec, imageEnv: string[]): Environment {
  const services = pod.spec.enableServiceLinks === false ? {} : serviceVariables(store, pod)
  const env: Environment = {
    PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin', // programs are this machine's
    HOME: process.env.HOME ?? '/',
    HOSTNAME: pod.metadata.name,
    ...Object.fromEntries(imageEnv.map(pair)),
    ...services,
    ...bulk(store, pod, spec),
  }
  for (const variable of spec.env ?? []) {
    const value = resolve(store, pod, variable, env)
    if (value !== undefined) env[variable.name] = value
  }
  return { ...env, HOST: pod.status?.podIP ?? '127.0.0.1' }
}

/** `$(NAME)` becomes the variable's value; an unknown one stays as it is, and `$$(NAME)` is `$(NAME)`. */
export function expand(text: string, env: Environment): string {
  return text.replace(/\$\$|\$\(([^)]+)\)/g, (found, name?: string) =>
    found === '$$' ? '$' : (env[name ?? ''] ?? found),
  )
}

function resolve(store: Store, pod: Pod, variable: EnvVar, env: Environment): string | undefined {
  if (variable.valueFrom) return valueFrom(store, pod, variable.valueFrom)
  return expand(variable.value ?? '', env)
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** `envFrom`: all entries of ConfigMaps and Secrets, the later over the earlier. */
function bulk(store: Store, { metadata: { namespace = 'default' } }: Pod, spec: ContainerSpec): Environment {
  const env: Environment = {}
  for (const { prefix = '', configMapRef, secretRef } of spec.envFrom ?? []) {
    const data = configMapRef
      ? dataOf(store, namespace, 'configmap', configMapRef)
      : secretRef && dataOf(store, namespace, 'secret', secretRef)
    for (const [key, value] of data ?? []) env[prefix + key] = value.toString()
  }
  return env
}

/** `WEB_SERVICE_HOST`, `WEB_SERVICE_PORT` and their older relatives, for each Service that has an address. */
function serviceVariables(store: Store, { metadata }: Pod): Environment {
  const services = store.list<Service>('services', metadata.namespace)
  return Object.assign({}, ...services.map(variablesOf)) as Environment
}

function variablesOf({ metadata, spec }: Service): Environment {
  const ip = spec.clusterIP
  const [first] = spec.ports ?? []
  if (!ip || ip === 'None' || !first) return {}
  const prefix = envName(metadata.name)
  const env: Environment = {
    [`${prefix}_SERVICE_HOST`]: ip,
    [`${prefix}_SERVICE_PORT`]: String(first.port),
    [`${prefix}_PORT`]: `${(first.protocol ?? 'TCP').toLowerCase()}://${ip}:${first.port}`,
  }
  for (const { name, port, protocol = 'TCP' } of spec.ports ?? []) {
    if (name) env[`${prefix}_SERVICE_PORT_${envName(name)}`] = String(port)
    const link = `${prefix}_PORT_${port}_${protocol}`
    env[link] = `${protocol.toLowerCase()}://${ip}:${port}`
    env[`${link}_PROTO`] = protocol.toLowerCase()
    env[`${link}_PORT`] = String(port)
    env[`${link}_ADDR`] = ip
  }
  return env
}

function envName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_')
}
