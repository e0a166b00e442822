/** What one record's notices are, while they are delivered: each change is stored, several at once where they come together. */
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import {
  CUT_OFF,
  readNotices,
  writeNotices,
  type Delivery,
  type Notice,
  type Notices,
  type Stored,
} from './notices.ts'

export interface Ledger {
  notices: Notices
  /** Stores what has changed, with whatever changes until then. Never throws: who must know is told all the same. */
  note: () => Promise<void>
  /** No state is to come any more. */
  settle: () => void
}

export async function openLedger(world: World, id: string, found?: Stored): Promise<Ledger> {
  const { app } = world.environment
  const kubectl = world.kubectl.unstoppable()
  let stored = found
  let warned = false
  const unwritten = (error: unknown): undefined => {
    if (!warned) world.log.warn(`Who was told of ${id} could not be written down: ${sentence(error)}`)
    warned = true
  }
  stored ??= await readNotices(kubectl, app, id).catch(unwritten)
  const notices: Notices = structuredClone(stored?.notices) ?? { refs: {}, notices: [] }
  let settled = false

  const write = async (): Promise<void> => {
    if (!stored) return // nothing moved, so that there is no record to write it into
    const written = await writeNotices(kubectl, { app, id }, stored, notices, settled)
    if (written) return void (stored = written)
    const now = await readNotices(kubectl, app, id)
    if (!now) return
    stored = now
    adopt(notices, now.notices, world.clock.now())
    stored = (await writeNotices(kubectl, { app, id }, now, notices, settled)) ?? stored
  }

  let last: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined
  const soon = async (before: Promise<void>): Promise<void> => {
    await before
    // Receivers that are told side by side are written down together.
    await new Promise((resolve) => setImmediate(resolve))
    next = undefined
    await write().catch(unwritten)
  }
  const note = async (): Promise<void> => {
    if (!next) last = next = soon(last)
    await next
  }
  return { notices, note, settle: () => void (settled = true) }
}

/** Another process was at it meanwhile: what it knows more of counts. Changes `own`. */
export function adopt(own: Notices, theirs: Notices, now: number): void {
  own.refs = { ...theirs.refs, ...own.refs }
  for (const notice of theirs.notices) {
    const mine = own.notices.find(({ state }) => state === notice.state)
    if (mine) adoptDeliveries(mine, notice, now)
    else own.notices.push(notice)
  }
}

function adoptDeliveries(own: Notice, theirs: Notice, now: number): void {
  for (const [name, delivery] of Object.entries(theirs.to)) {
    const mine = own.to[name]
    if (!mine) own.to[name] = delivery
    else if (isAhead(delivery, mine, now)) replace(mine, delivery)
  }
}

/** The object stays the same: whoever is delivering it sees what has become of it. */
function replace(own: Delivery, theirs: Delivery): void {
  delete own.open
  Object.assign(own, theirs)
}

function isAhead(theirs: Delivery, own: Delivery, now: number): boolean {
  if (own.sent !== undefined) return false
  if (theirs.sent !== undefined || theirs.over !== undefined) return true
  if (theirs.open === undefined || theirs.at === undefined || theirs.open === own.open) return false
  return now - Date.parse(theirs.at) < CUT_OFF
}
