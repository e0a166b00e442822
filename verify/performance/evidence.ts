/**
 * What a run leaves behind. `performance.json`: the figures of the whole and of each endpoint, how the generator
 * did, what each pod or connection answered, the findings, and the whole distribution, so that releases can be compared. A histogram is HdrHistogram's
 * V2 format, compressed, in base64, of µs; every HdrHistogram library reads it, here
 * `decodeFromCompressedBase64(text).getValueAtPercentile(99) / 1000` gives ms, and `add` merges two.
 * `performance.svg`: the same as a picture.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js'
import type { Target } from '../../lib/check.ts'
import type { PerformanceSettings } from '../../lib/settings/gates.ts'
import type { Load } from './lane.ts'
import type { Finding, Run } from './verdicts.ts'
import { picture } from './picture.ts'
import { parts } from './alike.ts'
import { failures, figures, histogramOf, latencies } from './summary.ts'

const [FIGURES, PICTURE] = ['performance.json', 'performance.svg']

/** @returns the files' names */
export async function writeEvidence(
  target: Target,
  run: Run,
  findings: readonly Finding[],
): Promise<string[]> {
  const { settings, generator, forwarded, pods, idle, live } = run
  const { rate, liveRate, duration, warmup, timeout } = settings
  const evidence = {
    asked: { rate, ...(live && { liveRate }), duration, warmup, timeout },
    generator,
    forwarded,
    ...(pods !== undefined && { pods }),
    target: report(target.url, idle, settings),
    ...(live && { live: report(target.live, live, settings) }),
    findings,
  }
  await mkdir(target.evidence, { recursive: true })
  await writeFile(join(target.evidence, FIGURES), `${JSON.stringify(evidence, null, 2)}\n`)
  const curves = [
    { name: 'this release', color: '#0969da', load: idle },
    ...(live ? [{ name: 'the live color', color: '#9a6700', load: live }] : []),
  ]
  await writeFile(
    join(target.evidence, PICTURE),
    picture(
      curves.map(({ load, ...curve }) => ({ ...curve, histogram: histogramOf(latencies(load.samples)) })),
    ),
  )
  return [FIGURES, PICTURE]
}

/** Headers, bodies and an address's user are left out: they may hold what signs in. */
function report(url: string | undefined, load: Load, { endpoints }: PerformanceSettings) {
  const { samples, due, dropped, elapsed, stopped } = load
  return {
    url: url && new URL(url).origin,
    due,
    dropped,
    elapsed: Math.round(elapsed),
    delivered: load.sentInTime / (elapsed / 1000),
    ...(stopped !== undefined && { stopped }),
    ...figures(samples),
    failures: failures(samples),
    connections: load.connections,
    endpoints: endpoints.map(({ method, path }, i) => ({
      name: `${method} ${path}`,
      ...figures(samples.filter(({ endpoint }) => endpoint === i)),
    })),
    parts: parts(samples),
    histogram: encodeIntoCompressedBase64(histogramOf(latencies(samples))),
  }
}
