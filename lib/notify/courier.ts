/** Brings what is to be told of one record to whoever wants it: channels side by side, each in the order of the states. */
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import { Secrets, secretsIn } from '../secrets.ts'
import type { Channel } from '../settings/notify.ts'
import { declared, open, type Variables } from './channels.ts'
import { deliver } from './delivery.ts'
import { writeEvent } from './event.ts'
import { openLedger, type Ledger } from './ledger.ts'
import { messageOf, type Message, type Told } from './message.ts'
import { isDue, STALE, type Delivery, type Notice } from './notices.ts'
import { isWanted, table, type Subject } from './states.ts'

/** ms from when on no try of a message begins, while the run goes on */
const WITHIN = 30_000

/** ms that a run whose end is told waits for receivers; what has not arrived then is due. What came before has less. */
export const LAST = 3_000
const EARLIER = 1_000

const NOTHING = 'it took nothing before'

export interface Courier {
  /** Aborted when what other records have to say has no more time: when all of this one is told, or late. */
  readonly over: AbortSignal
  /** Never throws. @param last no state follows in this run */
  tell(subject: Subject, told: Told, last: boolean): Promise<void>
  /** Everything that is due of this record, of what `only` names. Never throws. */
  sendDue(subject: Subject, only?: string): Promise<Ledger>
}

interface Item {
  message: Message
  subject: Subject
  delivery: Delivery
  last: boolean
}

export interface Means {
  variables: Variables
  /** Nobody waits behind it: everything has its time, up to when this is aborted. */
  patient?: AbortSignal
  /** What it shares with those of other records: a receiver that takes nothing is not asked for each of them. */
  line?: Line
}

/** The channels' queues, and who took nothing. */
export interface Line {
  queues: Map<string, Promise<void>>
  away: Set<string>
}

export const newLine = (): Line => ({ queues: new Map(), away: new Set() })

export function courier(
  world: World,
  ledger: Promise<Ledger>,
  { variables, patient, line: { queues, away } = newLine() }: Means,
): Courier {
  const { environment, clock, log } = world
  const secrets = new Secrets([...(environment.secrets ?? []), ...secretsIn(variables)])
  const channels = declared(environment.notify)
  const limit = new AbortController()
  const others = new AbortController()
  const began = performance.now()
  /** Deliveries of what came before the end, and when each began: by real time, as timers go. */
  const earlier = new Map<AbortController, number>()
  /** Channels whose last message has not arrived. */
  const behind = new Set<string>()
  const signal = patient ? AbortSignal.any([limit.signal, patient]) : limit.signal
  let ended = Number.POSITIVE_INFINITY

  const messageFor = (subject: Subject, notice: Told): Message =>
    messageOf(subject, notice, { reportUrl: environment.reportUrl, secrets })

  /** One try after the other, as long as there is time. @param last nothing follows: it has all the time that is left */
  const attempt = async (
    name: string,
    channel: Channel,
    { message, subject, delivery, last }: Item,
  ): Promise<void> => {
    // Once the run has ended, nobody waits for who has said nothing all the while, unless it matters.
    if (message.level === 'info' && behind.has(name) && Number.isFinite(ended)) {
      delivery.failure = NOTHING
      return last ? log.warn(undelivered(name, channel, message, delivery)) : undefined
    }
    if (away.has(name)) return void (delivery.failure ??= NOTHING)
    const { notices, note } = await ledger
    const opened = open(channel, variables, { subject, url: environment.url })
    behind.add(name)
    if ('problem' in opened) {
      delivery.failure = opened.problem
      await note()
    } else {
      const own = new AbortController()
      if (!last) earlier.set(own, performance.now())
      const isAway = await deliver(opened.sender, message, delivery, {
        clock,
        signal: AbortSignal.any([signal, own.signal]),
        deadline: Math.min(clock.monotonic() + WITHIN, ended),
        ref: notices.refs[name],
        note,
        learnt: (ref) => void (notices.refs[name] = ref),
      })
      earlier.delete(own)
      if (isAway && patient) away.add(name)
    }
    if (delivery.sent === undefined) log.warn(undelivered(name, channel, message, delivery))
    else behind.delete(name)
  }

  const bring = async (
    name: string,
    channel: Channel,
    subject: Subject,
    notice: Notice,
    last = false,
  ): Promise<void> => {
    const { note } = await ledger
    const delivery = (notice.to[name] ??= {})
    if (!isDue(delivery, clock.now())) return
    if (clock.now() - Date.parse(notice.at) <= STALE)
      return await attempt(name, channel, { message: messageFor(subject, notice), subject, delivery, last })
    delivery.over = 'it was no news any more'
    await note()
  }

  /** One after the other to each receiver: what came first arrives first. */
  const queue = (name: string, work: () => Promise<void>): Promise<void> => {
    const before = queues.get(name) ?? Promise.resolve()
    const next = before
      .then(work)
      .catch((error: unknown) => log.warn(`${name} was not told: ${sentence(error)}`))
    queues.set(name, next)
    return next
  }

  /** What an earlier run of this record could not say comes first. */
  let caughtUp: Promise<void>[] | undefined
  const catchUp = (subject: Subject, { notices }: Ledger): void => {
    caughtUp ??= channels.flatMap(([name, channel]) =>
      notices.notices
        .filter(({ to }) => to[name] !== undefined)
        .map((notice) => queue(name, () => bring(name, channel, subject, notice))),
    )
  }

  /** The run may end as soon as nobody is being told any more. */
  const end = (): void => {
    ended = clock.monotonic() + LAST
    for (const [delivery, began] of earlier)
      setTimeout(() => delivery.abort(), Math.max(0, began + EARLIER - performance.now())).unref()
    setTimeout(() => limit.abort(), LAST).unref()
  }

  /** Nobody waits for what only others have to say, but for the second that each receiver has. */
  const endOthers = (): void =>
    void setTimeout(() => others.abort(), Math.max(0, began + EARLIER - performance.now())).unref()

  return {
    over: AbortSignal.any([signal, others.signal]),
    tell: async (subject, told, last) => {
      if (last && !patient) end()
      void noteEvent(world, messageFor(subject, told))
      if (channels.length === 0) return last ? endOthers() : undefined
      const book = await ledger
      const { notices, note, settle } = book
      catchUp(subject, book)
      const closed = last && subject.outcome !== 'open'
      if (closed) settle()
      const wanting = channels.filter(([, { on }]) =>
        isWanted(on, told.state, table[told.state].ends || closed),
      )
      const known = notices.notices.some(({ state }) => state === told.state)
      const notice: Notice = { ...told, to: Object.fromEntries(wanting.map(([name]) => [name, {}])) }
      if (!known) notices.notices.push(notice)
      const receivers = known ? [] : wanting
      await Promise.all(
        receivers.map(([name, channel]) => queue(name, () => bring(name, channel, subject, notice, last))),
      )
      if (last) {
        await Promise.all(queues.values())
        await note()
        endOthers()
      }
    },
    sendDue: async (subject, only) => {
      const book = await ledger
      if (subject.outcome !== 'open') book.settle()
      const wanted = channels.filter(([name]) => only === undefined || name === only)
      const work = wanted.flatMap(([name, channel]) =>
        book.notices.notices
          .filter(({ to }) => to[name] !== undefined)
          .map((notice) => queue(name, () => bring(name, channel, subject, notice))),
      )
      await Promise.all(work)
      forget(book, channels, clock.now())
      await book.note()
      return book
    },
  }
}

/** That it cannot be written is worth a line, and nothing else. */
async function noteEvent(world: World, message: Message): Promise<void> {
  try {
    await writeEvent(world, message)
  } catch (error) {
    world.log.warn(
      `No Event says "${message.title}": ${sentence(error)}. It takes create on events (k8s/rbac)`,
    )
  }
}

function undelivered(
  name: string,
  { kind }: Channel,
  { title, environment }: Message,
  { failure, over }: Delivery,
): string {
  const what = `${name} (${kind}) was not told "${title}": ${failure ?? 'another run is at it'}`
  if (over !== undefined) return `${what}; it is not tried again: ${over}`
  return `${what}. The next command sends it, or bun scripts/notify.ts --env ${environment}`
}

/** The courier of a record, with the notices that are stored of it. */
export const courierOf = (world: World, id: string, means: Means): Courier =>
  courier(world, openLedger(world, id), means)

/** What is due to a channel that nobody declares any more is no news after a day, either. Changes the notices. */
function forget({ notices }: Ledger, channels: readonly [string, Channel][], now: number): void {
  for (const { at, to } of notices.notices)
    for (const [name, delivery] of Object.entries(to)) {
      if (delivery.sent !== undefined || channels.some(([known]) => known === name)) continue
      delivery.failure = 'no channel of that name is declared'
      if (now - Date.parse(at) > STALE) delivery.over ??= delivery.failure
    }
}
