/**
 * The performance gate: a constant rate of requests, counted from when each was due, judged by thresholds in
 * k6's words, by whether one pod is slower than the others, and against the live color at the same time. It never
 * sends more than the rates asked for; it sends what is declared, so declare what may be repeated.
 */
import type { Gate } from '../lib/check.ts'
import type { PerformanceSettings } from '../lib/settings/gates.ts'
import { alike } from './performance/alike.ts'
import { notSlower } from './performance/comparison.ts'
import type { Exchange } from './performance/connections.ts'
import { writeEvidence } from './performance/evidence.ts'
import { putLoad } from './performance/load.ts'
import {
  dropped,
  duration,
  errorRate,
  generator,
  rateDelivered,
  type Finding,
  type Run,
} from './performance/verdicts.ts'

export function performance(settings: PerformanceSettings): Gate {
  return async (target, signal, progress) => {
    const started = globalThis.performance.now()
    const lane = (url: string): Exchange[] => exchanges(settings, url, target.verification)
    const live = settings.slowerThanLive === false ? undefined : target.live
    const lanes = { idle: lane(target.url), ...(live && { live: lane(live) }) }
    const loads = await putLoad(settings, lanes, signal, progress, target.pods)

    const { forwarded = false, pods } = target
    const ways = live === undefined ? undefined : different(target.url, live, forwarded)
    const run: Run = { ...loads, settings, generator: generator(settings, loads), forwarded, pods, ways }
    const findings = judge(run)
    const evidence = await writeEvidence(target, run, findings)
    // They come of one run: each has its share of it, so that together they took as long as it did.
    const ms = (globalThis.performance.now() - started) / findings.length
    return findings.map((finding) => ({ gate: 'performance', ms, ...finding, evidence }))
  }
}

/** Pure: a run in, what it says out. */
export function judge(run: Run): Finding[] {
  const { thresholds, slowerThanOthers, slowerThanLive } = run.settings
  return [
    rateDelivered(run),
    dropped(run),
    ...thresholds.http_req_failed.map((threshold) => errorRate(threshold, run)),
    ...thresholds.http_req_duration.map((threshold) => duration(threshold, run)),
    ...(slowerThanOthers === false ? [] : [alike(slowerThanOthers, run)]),
    ...(slowerThanLive === false ? [] : notSlower(slowerThanLive, run)),
  ]
}

/** How the ways to the two colors differ; what one takes longer than the other hides or feigns a difference. */
function different(url: string, live: string, forwarded: boolean): string | undefined {
  if (forwarded) return 'only the live color was reached without a port-forward'
  const [ours, theirs] = [new URL(url).protocol, new URL(live).protocol].map((name) => name.replace(':', ''))
  return ours === theirs ? undefined : `it was asked over ${ours}, the live color over ${theirs}`
}

function exchanges({ endpoints }: PerformanceSettings, url: string, verification: string): Exchange[] {
  return endpoints.map(({ method, path, headers, body, status }) => ({
    url: new URL(path, url),
    method,
    headers: {
      'user-agent': 'deploy-scripts',
      'accept-encoding': 'gzip, deflate, br',
      'x-deploy-verification': verification,
      ...headers,
    },
    ...(body !== undefined && { body }),
    status,
  }))
}
