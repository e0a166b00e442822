/** Who answers for which box, and what is left. Pure. */
import { DeployError, Exit } from '../errors.ts'
import type { DeploymentRecord } from '../history/record.ts'
import { boxIds, type BoxId } from '../settings/preflight.ts'
import { plain } from '../text.ts'
import type { Box } from './box.ts'

/** Reasons by the box that they are for. */
export type Acks = ReadonlyMap<BoxId, string>

/** @throws DeployError (2) for a box that is none, or a reason that says nothing */
export function readAcks(given: readonly (readonly [ids: string, reason: string])[]): Acks {
  const acks = new Map<BoxId, string>()
  for (const [names, reason] of given) {
    if (reason.trim() === '') throw new DeployError(`--ack ${names}: the reason is empty`, Exit.usage)
    for (const name of names.split(',').map((each) => each.trim())) {
      const id = boxIds.find((known) => known === name)
      if (!id) throw new DeployError(`--ack ${name}: the boxes are ${boxIds.join(', ')}`, Exit.usage)
      acks.set(id, reason.trim())
    }
  }
  return acks
}

export interface Ticked {
  boxes: Box[]
  /** For the record; undefined where nobody had to answer for anything. */
  acknowledged: DeploymentRecord['acknowledged']
  /** What stops the deployment. */
  missing: Box[]
  /** What would, were it not only shown. */
  warned: Box[]
}

/** A box that passed needs no one's word. */
export function tick(found: readonly Box[], acks: Acks, by: string, warn: readonly BoxId[]): Ticked {
  const answered = found.filter(({ id, verdict }) => verdict !== 'passed' && acks.has(id))
  const acknowledged = answered.map(({ id, verdict, why }) => ({
    id,
    reason: acks.get(id) ?? '',
    by,
    was: plain(`${verdict}: ${why}`, 300),
  }))
  const boxes = found.map((box) =>
    answered.includes(box) ? { ...box, verdict: 'acknowledged' as const } : box,
  )
  const open = boxes.filter(({ verdict }) => verdict === 'failed' || verdict === 'unknown')
  return {
    boxes,
    acknowledged: acknowledged.length > 0 ? acknowledged : undefined,
    missing: open.filter(({ id }) => !warn.includes(id)),
    warned: open.filter(({ id }) => warn.includes(id)),
  }
}

/** All that is missing at once. @throws DeployError (6) */
export function refuseMissing({ missing }: Pick<Ticked, 'missing'>, environment: string): void {
  if (missing.length === 0) return
  const lines = missing.map(({ id, why, next }) => `  ${id}: ${why}\n    ${next}`)
  const what = missing.length === 1 ? 'One box is not ticked' : `${missing.length} boxes are not ticked`
  throw new DeployError(
    `${what} before ${environment} (docs/production-deployment-checklist.md):\n${lines.join('\n')}`,
    Exit.refused,
  )
}

const SIGN = { passed: '✓', failed: '✗', unknown: '?', acknowledged: '!' } as const

/** The whole list, for people: what stands in a box that is not simply ticked is told below it. */
export function boxLines(boxes: readonly Box[], acks: Acks): string[] {
  return boxes.flatMap(({ id, title, verdict, why, next }) => [
    `${SIGN[verdict]} ${id.padEnd(11)} ${title}`,
    ...folded(`${verdict === 'unknown' ? 'not known: ' : ''}${why}`),
    ...(verdict === 'acknowledged' ? folded(`acknowledged: ${acks.get(id)}`) : []),
    ...(verdict === 'failed' || verdict === 'unknown' ? folded(`→ ${next}`) : []),
  ])
}

/** What a plan says of it. */
export function planLines({ boxes, acknowledged = [] }: Ticked): string[] {
  const ticked = boxes.filter(({ verdict }) => verdict === 'passed').map(({ id }) => id)
  return [
    ...(ticked.length > 0 ? [`ticked   ${ticked.join(', ')}`] : []),
    ...acknowledged.map(({ id, reason, was }) => `acked    ${id}: ${reason} (${was})`),
  ]
}

const INDENT = ' '.repeat(14)

/** Of a line, with what the log puts before it. */
const WIDTH = 76

function folded(text: string): string[] {
  const lines: string[] = []
  for (const word of plain(text, 1000).split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && INDENT.length + last.length + word.length < WIDTH)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.map((line) => INDENT + line)
}
