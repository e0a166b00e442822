/** The performance gate's load alone, as a process of its own: URL, requests a second, seconds. Figures as JSON. */
import { performance as settings } from '../lib/settings/gates.ts'
import { putLoad } from '../verify/performance/load.ts'
import { figures } from '../verify/performance/summary.ts'

const [url = '', rate, seconds] = process.argv.slice(2)
const schedule = {
  ...settings.parse({ duration: `${seconds}s`, warmup: '0s', endpoints: [{ path: '/' }] }),
  rate: Number(rate),
}
const exchanges = { idle: [{ url: new URL(url), status: 200 }] }
const { idle } = await putLoad(schedule, exchanges, new AbortController().signal)
const delivered = idle.sentInTime / (idle.elapsed / 1000)
console.log(JSON.stringify({ delivered, ...figures(idle.samples) }))
