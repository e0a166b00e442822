/** What the checks left in a record's folder, as far as it is there and a page can show it. */
import { closeSync, existsSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { extname, join, sep } from 'node:path'
import { decodeFromCompressedBase64 } from 'hdr-histogram-js'
import { z } from 'zod'
import type { DeploymentRecord } from '../history/record.ts'
import { parseJson } from '../json.ts'

export interface Screenshot {
  /** Relative to the record's folder. */
  file: string
  check: string
  /** `data:image/png;base64,…` */
  data: string
}

export interface Latencies {
  name: string
  requests: number
  failed: number
  /** ms */
  p50: number
  p90: number
  p99: number
  max: number
  /** How many requests took so long, by ms; steps grow with the time. */
  bars: { from: number; to: number; share: number }[]
}

export interface Evidence {
  /** The record's folder is on this machine: what checks name can be opened from a page in it. */
  here: boolean
  screenshots: Screenshot[]
  latencies: Latencies[]
  /** Lighthouse's, from 0 to 1. */
  scores: { name: string; score: number }[]
  /** Files that checks name and that are not here, or too large to be shown. */
  missing: string[]
}

/** Bytes of pictures in a page, so that with base64 the whole stays under 2 MB. */
const PICTURES = 1_200_000
const ONE_PICTURE = 500_000
const ONE_FILE = 20_000_000

/** Reads what the checks of a record name. Never throws. */
export function readEvidence(folder: string, { checks }: Pick<DeploymentRecord, 'checks'>): Evidence {
  const named = checks.flatMap(({ gate, name, evidence = [] }) =>
    evidence.map((file) => ({ file, check: `${gate}: ${name}` })),
  )
  const found: Evidence = {
    here: existsSync(folder),
    screenshots: [],
    latencies: [],
    scores: [],
    missing: [],
  }
  const seen = new Set<string>()
  let room = PICTURES
  for (const { file, check } of found.here ? named : []) {
    if (seen.has(file)) continue
    seen.add(file)
    const kind = kindOf(file)
    const content =
      kind && readInside(folder, file, kind === 'picture' ? Math.min(room, ONE_PICTURE) : ONE_FILE)
    if (kind === undefined) continue
    if (!content) found.missing.push(file)
    else if (kind === 'performance') found.latencies.push(...latenciesOf(content.toString()))
    else if (kind === 'lighthouse') found.scores.push(...scoresOf(content.toString()))
    else {
      const type = pictureType(content)
      if (type === undefined) continue
      room -= content.length
      found.screenshots.push({ file, check, data: `data:image/${type};base64,${content.toString('base64')}` })
    }
  }
  return found
}

function kindOf(file: string): 'picture' | 'performance' | 'lighthouse' | undefined {
  if (['.png', '.jpg', '.jpeg'].includes(extname(file).toLowerCase())) return 'picture'
  if (file.endsWith('/performance.json')) return 'performance'
  return file.endsWith('page-quality/report.json') ? 'lighthouse' : undefined
}

/** By its first bytes: whatever else a file may be, a browser is told that it is a picture. */
function pictureType(content: Buffer): 'png' | 'jpeg' | undefined {
  if (content.subarray(0, 8).toString('latin1') === '\x89PNG\r\n\x1a\n') return 'png'
  return content.subarray(0, 3).toString('latin1') === '\xff\xd8\xff' ? 'jpeg' : undefined
}

/** A record is written by whoever may write to the namespace: no name in it leads out of the folder, by links neither. */
function readInside(folder: string, file: string, most: number): Buffer | undefined {
  try {
    const root = realpathSync(folder)
    const path = realpathSync(join(root, file))
    const { size } = statSync(path)
    if (!path.startsWith(root + sep) || !statSync(path).isFile() || size > most) return undefined
    const content = Buffer.alloc(size)
    const handle = openSync(path, 'r')
    try {
      return content.subarray(0, readSync(handle, content, 0, size, 0))
    } finally {
      closeSync(handle)
    }
  } catch {
    return undefined
  }
}

const figures = z.object({
  requests: z.number(),
  failed: z.number(),
  p50: z.number(),
  p90: z.number(),
  p99: z.number(),
  max: z.number(),
  histogram: z.string().max(1_000_000),
})
const performanceForm = z.object({ target: figures, live: figures.optional() })

function latenciesOf(text: string): Latencies[] {
  const { data } = performanceForm.safeParse(parseJson(text))
  if (!data) return []
  return [
    { name: 'this release', ...withBars(data.target) },
    ...(data.live ? [{ name: 'the live color', ...withBars(data.live) }] : []),
  ]
}

/** Each step is a fifth longer than the one before: a slow tail takes as little room as it has requests. */
const GROWTH = 1.2
/** A histogram is asked at so many equal parts of its requests: its library tells values of percentiles, and no counts. */
const PARTS = 2000

function withBars({ histogram, ...rest }: z.infer<typeof figures>): Omit<Latencies, 'name'> {
  try {
    const decoded = decodeFromCompressedBase64(histogram)
    const parts = Math.min(PARTS, decoded.totalCount)
    const steps = Array.from({ length: parts }, (_, i) => {
      const us = decoded.getValueAtPercentile((100 * (i + 0.5)) / parts)
      return Math.floor(Math.log(Math.max(1, us)) / Math.log(GROWTH))
    })
    const bars = [...Map.groupBy(steps, (step) => step)].map(([step, { length }]) => ({
      from: GROWTH ** step / 1000,
      to: GROWTH ** (step + 1) / 1000,
      share: length / parts,
    }))
    return { ...rest, bars: bars.toSorted((a, b) => a.from - b.from) }
  } catch {
    return { ...rest, bars: [] }
  }
}

const lighthouseForm = z.object({
  categories: z.record(z.string(), z.object({ title: z.string(), score: z.number().nullable() })),
})

function scoresOf(text: string): Evidence['scores'] {
  const { data } = lighthouseForm.safeParse(parseJson(text))
  return Object.values(data?.categories ?? {}).flatMap(({ title, score }) =>
    score === null ? [] : [{ name: title, score }],
  )
}
