/**
 * The performance gate: a constant rate of requests, counted from when each was due, judged by thresholds in
 * k6's words and against the live color under the same load at the same time. It never sends more than the rate
 * asked for, and as much again to the live color; it sends what is declared, so declare what may be repeated.
 */
import type { Gate } from '../lib/check.ts'
import type { PerformanceSettings } from '../lib/settings/gates.ts'
import { notSlower } from './performance/comparison.ts'
import { writeEvidence } from './performance/evidence.ts'
import type { Exchange } from './performance/lane.ts'
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
    const loads = await putLoad(settings, lanes, signal, progress)

    const forwarded = target.forwarded ?? false
    const run: Run = { ...loads, settings, generator: generator(settings, loads), forwarded }
    const findings = judge(run)
    const evidence = await writeEvidence(target, run, findings)
    const ms = globalThis.performance.now() - started
    return findings.map((finding) => ({ gate: 'performance', ms, ...finding, evidence }))
  }
}

/** Pure: a run in, what it says out. */
export function judge(run: Run): Finding[] {
  const { thresholds, slowerThanLive } = run.settings
  return [
    rateDelivered(run),
    dropped(run),
    ...thresholds.http_req_failed.map((threshold) => errorRate(threshold, run)),
    ...thresholds.http_req_duration.map((threshold) => duration(threshold, run)),
    ...(slowerThanLive === false ? [] : notSlower(slowerThanLive, run)),
  ]
}

function exchanges({ endpoints }: PerformanceSettings, url: string, verification: string): Exchange[] {
  return endpoints.map(({ method, path, headers, body, status }) => ({
    url: new URL(path, url),
    init: {
      method,
      headers: { 'user-agent': 'deploy-scripts', 'x-deploy-verification': verification, ...headers },
      ...(body !== undefined && { body }),
    },
    status,
  }))
}
