/**
 * What a source of figures gives: counters as they stand, pod by pod, never rates. Windows that overlap would count the
 * same request again and again, and a judge that bets on readings would be wrong (judge.ts).
 */
import type { Place } from '../app/color.ts'
import type { Count } from './judge.ts'

/** `errors`, `slow`, `databaseErrors`, and those that deploy.yaml adds. */
export type IndicatorName = string

/** One pod at one moment. */
export interface PodFigures {
  pod: string
  color: Place
  /** Since the process began; a pod that does not count something has no entry for it. */
  counters: Record<IndicatorName, Count>
  /** `memory` in bytes, `cpuSeconds`, `databaseConnections` …: as they are now. */
  gauges: Record<string, number>
}

export interface Snapshot {
  /** When the counters were read by whoever read them first, ms since 1970: a scrape's time, not the question's. */
  at: number
  pods: PodFigures[]
}

/** Nothing can be said: gone, hanging, ambiguous, empty. Never an alarm, never "all is well". */
export interface Unknown {
  unknown: string
}

export interface Source {
  /** As people read it: `Prometheus`, `the pods' own /metrics`. */
  name: string
  /** Asks once, within its own deadline; what goes wrong is an answer too. */
  look(): Promise<Snapshot | Unknown>
  /** Readings of a color in the past, oldest first; nothing where nothing is kept. Times in ms since 1970. */
  past(color: Place, window: { from: number; to: number }): Promise<Record<IndicatorName, Count[]>>
}
