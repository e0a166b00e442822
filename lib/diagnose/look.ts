/** One reading of everything that a diagnosis is made from. It changes nothing, and ends in seconds. */
import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { z } from 'zod'
import { colors, names, type Place } from '../app/color.ts'
import type { Command } from '../command.ts'
import { get, getApp, getNamed, logs, logsBehind } from '../cluster/commands.ts'
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import { askOnce } from '../http.ts'
import { field, parseJson } from '../json.ts'
import { readLines, readOwn } from './logs.ts'
import {
  event,
  policy,
  seen,
  slice,
  type Answered,
  type LastRecord,
  type LogLine,
  type Resolved,
  type Scene,
  type Seen,
} from './seen.ts'

export interface Looking {
  /** The newest record, where the history could be read. */
  last?: LastRecord | undefined
  /** Takes secrets out of what is logged (S7). */
  redact: (text: string) => string
}

/** @throws KubectlError where the cluster does not answer; what may not be read is named in `unread` */
export async function look(world: World, { last, redact }: Looking): Promise<Scene> {
  const { environment, clock } = world
  const { app, name, context, namespace, strategy, url, afterSwitch } = environment
  const unread = new Set<string>()
  const list = async <T>(what: string, schema: z.ZodType<T>): Promise<T[] | undefined> => {
    try {
      return await world.kubectl.objects(get([what]), schema)
    } catch (error) {
      world.signal.throwIfAborted()
      unread.add(`${what}: ${sentence(error)}`)
      return undefined
    }
  }
  const began = clock.now()
  const objects = read(world)
  const [found, slices, policies, events, answers, resolved, logged] = await Promise.all([
    objects,
    list('endpointslices', slice),
    list('networkpolicies', policy),
    list('events', event),
    asked(world),
    resolve(new URL(url).hostname),
    objects.then((all) => readLogs(world, all, unread)),
  ])
  const clean = (line: LogLine): LogLine => ({ ...line, text: redact(line.text).slice(0, LONGEST) })
  return {
    site: { app, name, context, namespace, strategy, url, afterSwitch },
    asked: began,
    now: clock.now(),
    objects: found,
    slices: slices ?? [],
    policies,
    events: byTime(events ?? []).map((one) => ({ ...one, message: redact(one.message) })),
    logs: Object.fromEntries(Object.entries(logged).map(([place, lines]) => [place, lines.map(clean)])),
    answers,
    resolved,
    last,
    unread: [...unread].map((what) => redact(what)),
  }
}

/** Of a line that is longer the rest says no more, in characters. */
const LONGEST = 2000

/** Without a label that the scripts put there, the live Service is found by its name. */
async function read({ environment: { app }, kubectl }: World): Promise<Seen[]> {
  const found = await kubectl.objects(getApp(app), seen)
  const { live } = names(app)
  if (found.some(({ kind, metadata }) => kind === 'Service' && metadata.name === live)) return found
  return [...found, ...(await kubectl.objects(getNamed(`service/${live}`), seen))]
}

const timeOf = ({ lastTimestamp, eventTime }: z.infer<typeof event>): string =>
  lastTimestamp ?? eventTime ?? ''

const byTime = (events: readonly z.infer<typeof event>[]) =>
  events.toSorted((a, b) => timeOf(a).localeCompare(timeOf(b)))

/** Of how many pods that ended the last words are read. */
const ENDED = 3

/** What kubectl says where the account may not. */
const FORBIDDEN = /is forbidden: User /

/** The last lines of each color's pods, and the last words of those that ended. */
async function readLogs(
  world: World,
  objects: readonly Seen[],
  unread: Set<string>,
): Promise<Partial<Record<Place, LogLine[]>>> {
  const { environment } = world
  const { app, strategy } = environment
  const all: readonly Place[] = strategy === 'rolling' ? ['plain'] : colors
  const pods = objects.filter((one) => one.kind === 'Pod')
  const said = async (command: Command, how: (text: string) => LogLine[]): Promise<LogLine[]> => {
    const { stdout, stderr } = await world.kubectl.ask(command)
    // With --ignore-errors it goes on after a refusal, and may end well.
    const refused = `${stderr}\n${stdout}`
      .split('\n')
      .find((line) => !line.startsWith('[pod/') && FORBIDDEN.test(line))
    if (refused !== undefined) unread.add(`logs: ${refused.trim()}`)
    return how(stdout)
  }
  const ofPlace = async (place: Place): Promise<[Place, LogLine[]]> => {
    const label = place === 'plain' ? undefined : place
    const own = pods.filter(({ metadata }) => metadata.labels.color === label)
    if (own.length === 0) return [place, []]
    const ended = own.flatMap(({ metadata, status }) =>
      status.containerStatuses
        .filter(({ restartCount, ready }) => restartCount > 0 && !ready)
        .map(({ name }) => ({ pod: metadata.name, container: name })),
    )
    const selector = `app=${app}${label ? `,color=${label}` : ''}`
    const lines = await Promise.all([
      said(logsBehind(selector), readLines),
      ...ended
        .slice(0, ENDED)
        .map(({ pod, container }) =>
          said(logs(pod, container, '--previous', '--timestamps'), (text) => readOwn(pod, text)),
        ),
    ])
    return [place, lines.flat()]
  }
  const found = await Promise.all(all.map(ofPlace))
  return Object.fromEntries(found)
}

/**
 * How often each path is asked and with which pause, so that one busy moment is not all that is seen; for how long at
 * most, in ms; and how much of an answer is read.
 */
const ASKING = { rounds: 4, pause: 250, within: 2000, most: 100_000, all: 5000 } as const

interface Question {
  at: Answered['at']
  url: string
  path: string
  status?: number
}

/** Users' address, and the preview's where it has one: a few requests, each on a connection of its own. */
async function asked(world: World): Promise<Answered[]> {
  const { url, previewUrl, witness, smoke } = world.environment
  const paths = [
    { path: witness.path },
    ...smoke
      .filter(({ method, body, headers }) => method === 'GET' && !body && Object.keys(headers).length === 0)
      .map(({ path, expect }) => ({ path, status: expect.status })),
  ]
  const questions = (at: Answered['at'], base: string): Question[] =>
    paths.map((one) => ({ at, url: base, ...one }))
  const all = [questions('live', url), previewUrl ? questions('preview', previewUrl) : []]
  return (await Promise.all(all.map((some) => rounds(world, some)))).flat()
}

/** One path after the other, round by round: who is silent in the first round is not asked again and again. */
async function rounds(world: World, questions: readonly Question[]): Promise<Answered[]> {
  const began = world.clock.monotonic()
  const answers: Answered[] = []
  for (let round = 0; round < ASKING.rounds; round++) {
    if (round > 0) await world.clock.sleep(ASKING.pause, world.signal)
    const these = await Promise.all(questions.map((question) => answer(world, question)))
    answers.push(...these)
    const silent = these.every(({ failure }) => failure !== undefined)
    if (silent || world.clock.monotonic() - began > ASKING.all) break
  }
  return answers
}

async function answer({ clock, environment, signal }: World, question: Question): Promise<Answered> {
  const { at, url, path, status: right } = question
  const began = clock.monotonic()
  // Not marked as a check: what users meet must be met.
  const headers = { 'user-agent': 'deploy-scripts-diagnosis' }
  const { within, most } = ASKING
  const got = await askOnce(new URL(path, url), { headers, within, most, signal })
  const ms = clock.monotonic() - began
  if ('failure' in got) return { at, path, ms, failure: got.failure }
  const name = environment.witness.color
  const color = name === undefined ? undefined : field(parseJson(got.text), name)
  return {
    at,
    path,
    ms,
    status: got.status,
    ...(right !== undefined && right !== got.status && { wanted: right }),
    ...(typeof color === 'string' && { color }),
  }
}

/** How long names may take, in ms. */
const NAMES = 2000

/** What the host's name leads to, with the times that resolvers keep it for; nothing of an address. */
async function resolve(host: string): Promise<Resolved | undefined> {
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0 || host === 'localhost') return undefined
  const resolver = new Resolver({ timeout: NAMES, tries: 1 })
  const [found, kept] = await Promise.all([
    Promise.race([lookup(host, { all: true }), Bun.sleep(NAMES).then(() => 'no answer in time')]).catch(
      codeOf,
    ),
    resolver.resolve4(host, { ttl: true }).catch(() => []),
  ])
  if (typeof found === 'string') return { host, addresses: [], failure: found }
  const ttlOf = (address: string): number | undefined => kept.find((one) => one.address === address)?.ttl
  return {
    host,
    addresses: found.map(({ address }) => {
      const ttl = ttlOf(address)
      return { address, ...(ttl !== undefined && { ttl }) }
    }),
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : sentence(error)
