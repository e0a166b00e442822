/** What was seen, arranged: which color users are on, how each of them is, what belongs to a pod. Pure. */
import { colors, other, type Place } from '../app/color.ts'
import { isOverlap } from '../app/live.ts'
import { arrange, type ColorState, type Observed } from '../app/observe.ts'
import { isActive, isReady } from '../cluster/objects.ts'
import { errorLines } from './logs.ts'
import type { Answered, Happened, Scene, SeenPod, SeenService } from './seen.ts'

export interface Case extends Scene {
  observed: Observed
  /** Where users are; undefined where the Service does not say. */
  live?: Place
  /** Where they are not, if something runs there. */
  idle?: Place
  service?: SeenService
  /** All pods that are not on their way out, by name. */
  pods: ReadonlyMap<string, SeenPod>
}

export function arranged(scene: Scene): Case {
  const { site, objects } = scene
  const observed = arrange(site.app, objects)
  const live = liveOf(scene, observed)
  const idle = live === 'blue' || live === 'green' ? other(live) : undefined
  const service = objects.find((one) => one.kind === 'Service' && one.metadata.name === site.app)
  const pods = objects.filter((one) => one.kind === 'Pod')
  const tooEarly = idle !== undefined && !couldServe(observed.colors[idle], scene.asked)
  return {
    ...scene,
    // Nothing of a color whose pods start anew, as those that were just left do.
    answers: tooEarly ? scene.answers.filter((one) => one.at === 'live' || !isUnserved(one)) : scene.answers,
    observed,
    pods: new Map(pods.filter(isActive).map((pod) => [pod.metadata.name, pod])),
    ...(live && { live }),
    ...(idle && { idle }),
    ...(service?.kind === 'Service' && { service }),
  }
}

/** How long a ready pod may take to be behind the Service, in ms; the API's times are whole seconds. */
const BEHIND = 2000

/** Whether one of a color's ready pods had been ready for long enough when the addresses were asked. */
const couldServe = ({ ready }: ColorState, asked: number): boolean =>
  ready.length === 0 ||
  ready.some(({ status: { conditions } }) => {
    const since = conditions.find(({ type }) => type === 'Ready')?.lastTransitionTime
    return !since || Date.parse(since) <= asked - BEHIND
  })

/** Nobody answered, or a proxy in nobody's place. */
const isUnserved = ({ failure, status = 0 }: Answered): boolean =>
  failure !== undefined || (status >= 502 && status <= 504)

function liveOf({ site: { app, strategy } }: Scene, { service, switch: last }: Observed): Place | undefined {
  if (strategy === 'rolling') return 'plain'
  const selector = service?.spec.selector ?? {}
  if (isOverlap(app, selector) && last?.overlap) return last.to.color
  return colors.find((color) => selector.color === color && selector.app === app)
}

/** The places of this environment that hold a Deployment. */
export function places({ site, observed }: Case): Place[] {
  const all: readonly Place[] = site.strategy === 'rolling' ? ['plain'] : colors
  return all.filter((place) => observed.colors[place].deployment)
}

export const stateOf = ({ observed }: Case, place: Place): ColorState => observed.colors[place]

export const wanted = ({ deployment }: ColorState): number => deployment?.spec.replicas ?? 0

/** Its pods, with what a diagnosis reads of them. */
export const podsOf = (about: Case, place: Place): SeenPod[] =>
  stateOf(about, place).own.flatMap(({ metadata }) => about.pods.get(metadata.name) ?? [])

export const unready = (about: Case, place: Place): SeenPod[] =>
  podsOf(about, place).filter((pod) => !isReady(pod))

export const eventsOf = ({ events }: Case, { metadata }: SeenPod): Happened[] =>
  events.filter(({ involvedObject }) => involvedObject.name === metadata.name)

/** What was answered at the address that leads to a color: users' own, or the preview's. */
export const answersOf = ({ answers, live }: Case, place: Place): Answered[] =>
  answers.filter(({ at }) => (at === 'live') === (place === live))

export const isWrong = ({ failure, status = 0, wanted }: Answered): boolean =>
  failure !== undefined || status >= 500 || wanted !== undefined

/** How many lines of errors are more than everyday noise; and where every request is answered rightly. */
const MANY = { unseen: 5, answered: 20 } as const

/** Whether a color's log holds more errors than noise. */
export function hasManyErrors(about: Case, place: Place): boolean {
  const answers = answersOf(about, place)
  const well = answers.length > 0 && !answers.some(isWrong)
  return errorLines(about.logs[place] ?? [], about.now).length >= (well ? MANY.answered : MANY.unseen)
}

/** For so long after its creation a program may not listen yet, and no probe may have told of it, in ms. */
const STARTING = 20_000
const UNTRIED = 5000

/** What a probe said last. */
export const lastProbe = (about: Case, pod: SeenPod): Happened | undefined =>
  eventsOf(about, pod).findLast(({ reason }) => reason === 'Unhealthy')

/** It has not been there for long, and nothing listens yet, or nothing is known of it yet. */
export function mayStart(about: Case, pod: SeenPod): boolean {
  const age = about.now - Date.parse(pod.metadata.creationTimestamp ?? '')
  const probe = lastProbe(about, pod)
  return probe ? age < STARTING && /connection refused/.test(probe.message) : age < UNTRIED && isUntried(pod)
}

const isUntried = ({ spec, status }: SeenPod): boolean =>
  spec.nodeName !== '' &&
  status.containerStatuses.every(
    ({ restartCount, state: { waiting, terminated } }) =>
      restartCount === 0 &&
      !terminated &&
      (!waiting || ['ContainerCreating', 'PodInitializing'].includes(waiting.reason)),
  )

/** Where no user is, pods have their time to come up, as those of a color that was just left do. */
const isStarting = (about: Case, place: Place): boolean =>
  place === about.idle && unready(about, place).every((pod) => mayStart(about, pod))

/**
 * Why a color is not well, a clause each; empty where it is. A color without pods, which nobody asked for, is well, and
 * so is one that starts: what keeps its pods from it is a cause of its own.
 */
export function sickness(about: Case, place: Place): string[] {
  const state = stateOf(about, place)
  if (!state.deployment || wanted(state) === 0) return []
  const answers = answersOf(about, place)
  const wrong = answers.filter(isWrong)
  const errors = errorLines(about.logs[place] ?? [], about.now).length
  const bad = unready(about, place).length
  if (bad > 0 && state.refused === undefined && isStarting(about, place)) return []
  return [
    ...(state.ready.length < wanted(state) ? [`${state.ready.length} of ${wanted(state)} pods ready`] : []),
    ...(bad > 0 && state.ready.length >= wanted(state) ? [`${bad} new pods are not ready`] : []),
    ...(state.refused === undefined ? [] : ['no more pods can be created']),
    ...wrong
      .slice(0, 1)
      .map(
        ({ path, failure, status }) =>
          `${wrong.length} of ${answers.length} requests answered wrongly or not (${path}: ${failure ?? status})`,
      ),
    ...(hasManyErrors(about, place) ? [`${errors} lines of errors in its log`] : []),
  ]
}

/** `green (users are here)`. */
export const called = ({ live }: Case, place: Place): string => {
  if (place === 'plain') return 'the app'
  return place === live ? `${place} (where users are)` : `${place} (idle)`
}

/** Where going back leads to: a color that is well, and that nobody has just gone back from. */
export function wayBack(about: Case): Place | undefined {
  const { idle, observed } = about
  if (!idle || stateOf(about, idle).ready.length === 0 || sickness(about, idle).length > 0) return undefined
  const { kind, from } = observed.switch ?? {}
  const left = (kind === 'rollback' || kind === 'automatic-rollback') && from?.color === idle
  return left ? undefined : idle
}
