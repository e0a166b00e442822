/**
 * What was to be told of a record, and to whom it was: intent, then receipt. It stands in the record's ConfigMap beside
 * the record itself, where each change tests what it changes: of two processes that would send the same, one does.
 */
import { z } from 'zod'
import { key } from '../app/color.ts'
import { get, getNamed, patch, pointer, type JsonPatch } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import { configMap, type ConfigMap } from '../cluster/objects.ts'
import { KubectlError } from '../cluster/refusal.ts'
import { recordName } from '../history/record.ts'
import { parseJson } from '../json.ts'
import { states } from '../settings/notify.ts'

const delivery = z.object({
  /** ISO 8601: the last try's beginning */
  at: z.string().optional(),
  /** A try has begun, and nobody has said yet how it ended: by which it is told from another process's. */
  open: z.string().optional(),
  /** How many tries may have arrived without anybody knowing. */
  unsure: z.number().optional(),
  /** What the receiver said. */
  sent: z.string().optional(),
  failure: z.string().optional(),
  /** It is not tried any more, and why. */
  over: z.string().optional(),
})

export type Delivery = z.infer<typeof delivery>

const notice = z.object({
  state: z.enum(states),
  at: z.string(),
  about: z.string().optional(),
  /** By the channel's name. */
  to: z.record(z.string(), delivery),
})

export type Notice = z.infer<typeof notice>

const form = z.object({
  /** What a channel called what it was sent first. */
  refs: z.record(z.string(), z.string()),
  notices: z.array(notice),
})

export type Notices = z.infer<typeof form>

/** ms after which a try that nobody has said the end of was cut off: longer than any try takes. */
export const CUT_OFF = 15_000

/** ms after which it is no news any more. */
export const STALE = 24 * 60 * 60 * 1000

/** Whether it may be tried now: not what has arrived, is given up, or is under way in another process. Pure. */
export function isDue({ at, open, sent, over }: Delivery, now: number): boolean {
  if (sent !== undefined || over !== undefined) return false
  return !(open !== undefined && at !== undefined && now - Date.parse(at) < CUT_OFF)
}

/** Whether anything of it is still to be sent, now or later. Pure. */
export const isOutstanding = ({ notices }: Notices): boolean =>
  notices.some(({ to }) =>
    Object.values(to).some(({ sent, over }) => sent === undefined && over === undefined),
  )

export interface Stored {
  notices: Notices
  /** As it stands there; undefined where nothing does. */
  text: string | undefined
  labels: Readonly<Record<string, string>>
}

const EMPTY: Notices = { refs: {}, notices: [] }

const KEY = 'notices'

/** What cannot be read is as if nothing was told: newer scripts wrote it, or somebody edited it. Pure. */
export function noticesOf({ data, metadata }: ConfigMap): Stored {
  const text = data[KEY]
  const parsed = form.safeParse(parseJson(text ?? ''))
  return { notices: parsed.success ? parsed.data : structuredClone(EMPTY), text, labels: metadata.labels }
}

export async function readNotices(kubectl: Kubectl, app: string, id: string): Promise<Stored | undefined> {
  const [found] = await kubectl.objects(getNamed(`configmap/${recordName(app, id)}`), configMap, SOON)
  return found && noticesOf(found)
}

/** Records of which something is to be told, or whose run has ended before it could say so. */
export async function outstanding(kubectl: Kubectl, app: string): Promise<ConfigMap[]> {
  const selector = `--selector=${key.record}=${app},${key.notify}=due`
  return await kubectl.objects(get(['configmaps'], selector), configMap, SOON)
}

/** A cluster that is slow keeps nobody from being told. */
const SOON = { timeout: 8_000 }

/**
 * @param settled nothing is to come: without that, it stays marked for whoever comes next
 * @returns as it stands then; undefined where somebody else has changed it meanwhile
 */
export async function writeNotices(
  kubectl: Kubectl,
  { app, id }: { app: string; id: string },
  before: Stored,
  notices: Notices,
  settled: boolean,
): Promise<Stored | undefined> {
  const path = `/data/${KEY}`
  const label = pointer('metadata', 'labels', key.notify)
  const value = JSON.stringify(notices)
  const marked = before.labels[key.notify] !== undefined
  const due = !settled || isOutstanding(notices)
  if (value === before.text && due === (before.labels[key.notify] === 'due')) return before
  const operations: JsonPatch[] = [
    ...(before.text === undefined ? [] : [{ op: 'test', path, value: before.text } as const]),
    { op: 'add', path, value },
    ...(due ? [{ op: 'add', path: label, value: 'due' } as const] : []),
    ...(!due && marked ? [{ op: 'remove', path: label } as const] : []),
  ]
  try {
    const [now] = await kubectl.quietly(patch('configmap', recordName(app, id), operations), configMap, SOON)
    return now && noticesOf(now)
  } catch (error) {
    if (error instanceof KubectlError && error.refusal === 'TestFailed') return undefined
    throw error
  }
}
