/**
 * Starts the app: settings, listeners, database. SIGTERM drains it (see drain.ts), and it exits with 0.
 * It exits with 1, and says why in one line, when a setting is wrong or a migration fails.
 */
import { createApp } from './app.ts'
import { parseConfig, type Config } from './config.ts'
import { openDatabase } from './database.ts'
import { ConfigError } from './environment.ts'
import { notFound } from './errors.ts'
import { secureHeaders } from './headers.ts'
import { createLog, describe, type Log } from './log.ts'
import { Faults } from './faults.ts'
import { Metrics } from './metrics.ts'
import { prepareWhenPossible } from './prepare.ts'
import { pathOf } from './router.ts'
import { Services } from './services.ts'
import { SOCKET_PATH, Sockets } from './sockets.ts'

/**
 * Longer than proxies keep a connection (60 s is usual), so that it is they who close it, not we beneath a
 * request.
 */
const IDLE_SECONDS = 120

/**
 * Far above our own limit, so that the answer to a large body is ours, with its headers, and not the
 * runtime's.
 */
const RUNTIME_BODY_LIMIT = 64 * 2 ** 20

export interface Running {
  url: string
  metricsUrl: string
  /** Resolves when the database is migrated and the accounts exist. @throws MigrationError */
  prepared: Promise<void>
  /** Drains, then stops everything. */
  stop(): Promise<void>
}

export async function start(config: Config, log: Log): Promise<Running> {
  const metrics = new Metrics()
  const faults = new Faults(config.faults)
  const database = await openDatabase(config.databaseUrl, {
    connections: config.databaseConnections,
    disturb: () => faults.disturbDatabase(),
    observe: (operation, seconds, error) =>
      metrics.queries.observe({ operation, ...(error && { error_type: error }) }, seconds),
  })
  metrics.watch(() => database.connections(), database.maxConnections)
  const services = new Services(config, database, metrics, log)
  const app = createApp(services, faults)
  const sockets = new Sockets(config, services.drain)

  // The listeners come first: while the database is prepared, /health answers and /ready says what is
  // missing.
  const server = Bun.serve({
    hostname: config.host,
    port: config.port,
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: RUNTIME_BODY_LIMIT,
    websocket: sockets.handler,
    fetch: (request, listener) => {
      if (pathOf(request.url) === SOCKET_PATH && listener.upgrade(request)) return undefined
      return app(request, listener.requestIP(request)?.address ?? 'unknown')
    },
  })
  // A port of its own, which no Service names: what it tells is not for the public.
  const metricsServer = Bun.serve({
    hostname: config.host,
    port: config.metricsPort,
    fetch: (request) => serveMetrics(metrics, request),
  })
  log('info', 'listening', { url: server.url.href, metrics: metricsServer.url.href, version: config.version })

  let stopping = false
  const prepared = prepareWhenPossible(config, log, () => stopping).then(() =>
    services.readiness.markPrepared(),
  )

  return {
    url: server.url.origin,
    metricsUrl: new URL('/metrics', metricsServer.url).href,
    prepared,
    async stop() {
      stopping = true
      const listener = {
        pendingRequests: () => server.pendingRequests,
        stop: async (now?: boolean) => {
          sockets.leaveAll()
          await server.stop(now)
        },
      }
      await services.drain.run(listener, config, log)
      await metricsServer.stop(true)
      await database.close()
    },
  }
}

async function serveMetrics(metrics: Metrics, request: Request): Promise<Response> {
  const response = pathOf(request.url) === '/metrics' ? await metrics.toResponse() : notFound().toResponse()
  secureHeaders(response.headers, false)
  return response
}

async function main(): Promise<void> {
  let running: Running | undefined
  let stopped: Promise<void> | undefined
  // First of all: the first process of a container ignores a signal that it has no handler for.
  const stop = (signal: string) => {
    if (!running) process.exit(0)
    if (stopped && signal === 'SIGINT') process.exit(130) // a second Ctrl-C: the person will not wait
    stopped ??= running.stop().then(() => log('info', 'stopped', { signal }))
    stopped.then(() => process.exit(0), die)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)

  const config = parseConfig(process.env)
  const log = createLog(config.logLevel)
  for (const fault of config.faults.active) log('warn', `FAULT SWITCHED ON: ${fault}`)
  if (config.faults.crashAtStart) throw new ConfigError('FAULT_CRASH_AT_START asks this process to end')

  running = await start(config, log)
  await running.prepared
}

function die(error: unknown): never {
  createLog('error')('error', describe(error))
  process.exit(1)
}

if (import.meta.main) main().catch(die)
