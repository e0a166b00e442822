/**
 * `make bench-bake`: how often judges take a healthy release back, and how soon a faulty one, over the same seeded bakes.
 * Written to bench/results-bake.md.
 */
import {
  bet,
  delayOf,
  fiveOver,
  goesBack,
  mannWhitney,
  onceOver,
  READINGS,
  twiceOver,
  zTest,
  type Delay,
  type Judge,
  type World,
} from './bakes.ts'
import { writeResults } from './measure.ts'

const BAKES = 10_000
const noise = 0.8

const judges: [string, Judge][] = [
  ['z-test at every reading, p < 0.05', zTest],
  ['Mann–Whitney at every reading from the fifth on, p < 0.02', mannWhitney],
  ['more than 1 %, in one reading', onceOver],
  ['more than 1 %, two readings in a row', twiceOver],
  ['more than 1 %, five readings in all', fiveOver],
  ['**this one, 500 : 1**', bet],
]

const healthy: [string, World][] = [
  ['healthy: errors one by one', {}],
  ['in waves', { noise }],
  ['in waves, and 15 s bursts of 20 %', { noise, bursts: 0.008 }],
  ['× 1.5 at this hour', { noise, drift: 1.5 }],
  ['× 2 at this hour, yesterday known', { noise, drift: 2, history: true }],
  ['× 2, nothing known', { noise, drift: 2 }],
  ['× 2, users on both colors', { noise, drift: 2, overlap: READINGS }],
  ['a shared dependency away for 60 s', { noise, outage: 4 }],
]

const faulty: [string, World][] = [1, 0.2, 0.05, 0.02, 0.01].map((fault) => [
  `${100 * fault} % more fail`,
  { noise, fault },
])

const told = ({ median, p95, caught }: Delay): string =>
  `${median} s, ${p95} s${caught < 0.9995 ? `; ${(100 * caught).toFixed(1)} % caught` : ''}`

const rows = [
  ...healthy.map(([name, world]) => [
    name,
    ...judges.map(([, judge]) => `${(100 * goesBack(judge, world, BAKES).share).toFixed(2)} %`),
  ]),
  ...faulty.map(([name, world]) => [
    `${name}: median, p95`,
    ...judges.map(([, judge]) => told(delayOf(judge, world, BAKES / 5))),
  ]),
]

writeResults(
  'bake',
  'How often a bake goes back',
  ['the world', ...judges.map(([name]) => name)],
  rows,
  `${BAKES} seeded bakes a cell, ${BAKES / 5} where it is about time: 40 readings of 15 s, 20 requests a second, 0.2 % errors, the half hour before as the baseline`,
)
