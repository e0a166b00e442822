/** The smallest application that the benchmarks can deploy two hundred times: it answers its probes and its color. */
const { HOST = '0.0.0.0', PORT = '3000', APP_COLOR = '', APP_VERSION = '' } = process.env
export const server = Bun.serve({
  hostname: HOST,
  port: Number(PORT),
  fetch: () => Response.json({ status: 'ok', color: APP_COLOR, version: APP_VERSION }),
})
process.on('SIGTERM', () => void server.stop().then(() => process.exit(0)))
