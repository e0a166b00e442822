/** A backtest in words: of so many moments so many would have been rolled back. Pure; lines fit 80 columns. */
import { seconds } from '../clock.ts'
import type { Tried, Trial } from './backtest.ts'

const number = (value: number): string => value.toLocaleString('en')

const percent = (share: number): string => `${Number((share * 100).toPrecision(2))} %`

/** Alarms that are listed. */
const LISTED = 10

export function backtestLines({ moments, alarms, leftOut }: Tried, { inject, time }: Trial): string[] {
  if (moments === 0) return ['There is no moment to judge: too little of the past is known', ...left(leftOut)]
  if (inject) {
    const delays = alarms.map(({ after }) => after).toSorted((a, b) => a - b)
    const at = (share: number): string =>
      seconds(delays[Math.min(delays.length - 1, Math.ceil(share * delays.length) - 1)] ?? 0)
    const caught = `${number(alarms.length)} of ${number(moments)} caught within ${seconds(time)} (${percent(alarms.length / moments)})`
    return [
      `With ${percent(inject.share)} more that fail, for ${seconds(inject.lasting)}:`,
      `  ${caught}`,
      ...(delays.length > 0 ? [`  half of them within ${at(0.5)}, 95 % within ${at(0.95)}`] : []),
      ...left(leftOut),
    ]
  }
  return [
    `Of ${number(moments)} moments without a deployment it would have rolled back ${number(alarms.length)} (${percent(alarms.length / moments)})`,
    ...alarms
      .slice(0, LISTED)
      .map(
        ({ at, after, indicator, limit, odds }) =>
          `  ${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} ${indicator}: ${number(Math.round(odds))} : 1 after ${seconds(after)} (limit ${percent(limit)})`,
      ),
    ...(alarms.length > LISTED ? [`  … and ${number(alarms.length - LISTED)} more`] : []),
    ...left(leftOut),
  ]
}

const left = ({ switched, unknown }: Tried['leftOut']): string[] => [
  `Left out: ${number(switched)} with a change of color, ${number(unknown)} of which too little is known`,
]
