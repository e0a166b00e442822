/** A server whose latencies are known: each answer waits as long as the next entry of a seeded table says, or not at all. */
import { LATENCIES } from './latencies.ts'

let asked = 0
const sleeps = process.argv[2] === 'sleeps'
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: async () => {
    if (sleeps) await Bun.sleep(LATENCIES[asked++ % LATENCIES.length] ?? 0)
    return new Response('ok')
  },
})
console.log(server.url.href)
