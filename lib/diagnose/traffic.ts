/** Why traffic is not where it should be: the Service and what is behind it. Pure. */
import { colors, names, type Color } from '../app/color.ts'
import { byHand, drift, impostors, isOverlap, isUnused, movedByHand } from '../app/live.ts'
import { isReady } from '../cluster/objects.ts'
import { answersOf, called, isWrong, places, podsOf, stateOf, wanted, type Case } from './case.ts'
import { kubectl, script, type Cause } from './cause.ts'
import type { Scene, SeenPod } from './seen.ts'

const base = { trouble: 'traffic does not switch', certainty: 'certain', users: true } as const

export function trafficCauses(about: Case): Cause[] {
  return [...serviceCauses(about), ...behind(about)]
}

/** Whether the live Service selects what the scripts made it select. */
function serviceCauses(about: Case): Cause[] {
  const { site, observed, live } = about
  const { app } = site
  const service = kubectl(site, 'get', 'service', app, '-o', 'yaml', '--show-managed-fields')
  if (!observed.service) {
    const what = `there is no Service ${app}: no release has been opened to users`
    const evidence = [`nothing is named service/${app} in ${site.namespace}`]
    return [{ ...base, id: 'no-service', what, evidence, next: kubectl(site, 'get', 'services') }]
  }
  if (site.strategy === 'rolling' || isUnused(observed)) return []
  const selector = JSON.stringify(observed.service.spec.selector)
  const moved = movedByHand(app, observed)
  const last = colors.find((color) => color === observed.switch?.to.color)
  if (moved && live !== undefined && last) {
    const evidence = [moved, `Service ${app} selects ${selector}`]
    const what = `somebody moved users to ${live} by hand`
    return [{ ...base, id: 'moved-by-hand', what, evidence, next: putBack(about, last) ?? service }]
  }
  if (
    live === undefined ||
    (Object.keys(observed.service.spec.selector).length !== 2 &&
      !isOverlap(app, observed.service.spec.selector))
  ) {
    const what = `Service ${app} selects no color`
    const evidence = [`it selects ${selector}, not {app: ${app}, color: blue or green}`, moved ?? '']
    const to = last ?? colors.find((color) => observed.colors[color].ready.length > 0)
    return [{ ...base, id: 'selector', what, evidence, next: (to && putBack(about, to)) ?? service }]
  }
  const overwritten = drift(app, observed)
  if (!overwritten) return []
  const what = `${live} holds something else than users were sent to`
  const next = script(site, 'deployment-history', '--limit', '3')
  return [{ ...base, id: 'overwritten', what, evidence: [overwritten], next }]
}

/** Only what has ready pods is suggested. */
const putBack = ({ site, observed }: Case, color: Color): string | undefined =>
  observed.colors[color].ready.length > 0 ? byHand(site, color) : undefined

/** What the live Service leads to. */
function behind(about: Case): Cause[] {
  const { live, site } = about
  if (live === undefined || !about.service) return []
  return [
    ...strays(about),
    ...foreign(about),
    ...targetPort(about),
    ...scaledDown(about),
    ...endpoints(about),
    ...keptConnections(about),
  ].map((cause) => ({ ...cause, next: cause.next || kubectl(site, 'get', 'endpointslices') }))
}

function strays(about: Case): Cause[] {
  return places(about).flatMap((place) => {
    const state = stateOf(about, place)
    const foreign = state.pods.filter((pod) => !state.own.includes(pod))
    if (foreign.length === 0) return []
    const names = foreign.map(({ metadata }) => metadata.name)
    const what = `pods that no Deployment of ${place} owns answer in its place`
    const next = kubectl(about.site, 'get', 'pods', ...names, '-o', 'wide')
    const users = place === about.live
    return [{ ...base, id: 'stray-pods', users, what, evidence: impostors(state), next }]
  })
}

const slicesOf = ({ slices, site: { app } }: Scene): Scene['slices'] =>
  slices.filter(({ metadata }) => metadata.labels['kubernetes.io/service-name'] === names(app).live)

const readyOf = ({ endpoints }: Scene['slices'][number]) =>
  endpoints.filter(({ conditions }) => conditions.ready !== false)

/** Addresses that are no pod of the live color: made by hand, mirrored, or not yet followed. */
function foreign(about: Case): Cause[] {
  const { live, site } = about
  if (live === undefined) return []
  // A pod that is on its way out leaves the endpoints a moment later.
  const own = new Set([...stateOf(about, live).pods].map(({ metadata }) => metadata.uid))
  const wrong = slicesOf(about).filter((slice) =>
    readyOf(slice).some(({ targetRef }) => targetRef?.kind !== 'Pod' || !own.has(targetRef.uid)),
  )
  if (wrong.length === 0) return []
  const slices = wrong.map(({ metadata }) => metadata.name)
  const byHand = wrong.some((slice) => readyOf(slice).some(({ targetRef }) => targetRef?.kind !== 'Pod'))
  const what = byHand
    ? `Service ${site.app} also leads to addresses that are no pods`
    : `Service ${site.app} still leads to pods that are not ${live}'s`
  const evidence = slices.map((name) => `EndpointSlice ${name}`)
  const next = kubectl(site, 'get', 'endpointslices', ...slices, '-o', 'yaml')
  return [{ ...base, id: 'foreign-endpoints', what, evidence, next }]
}

/** A port of the Service that none of its pods has. */
function targetPort(about: Case): Cause[] {
  const { live, service, site } = about
  if (live === undefined || !service) return []
  const pods = podsOf(about, live)
  return service.spec.ports.flatMap(({ port, targetPort: to = port }) => {
    const lacking = pods.filter((pod) => !hasPort(pod, to))
    if (pods.length === 0 || lacking.length < pods.length) return []
    const declared = [...new Set(pods.flatMap(portsOf))]
    // A number need not be declared: only that nobody answers makes it one.
    const silent = answersOf(about, live).length > 0 && answersOf(about, live).every(({ failure }) => failure)
    if (typeof to === 'number' && !silent) return []
    const what = `Service ${site.app} sends to port ${to}, which the pods of ${live} do not have`
    const evidence = [`their ports: ${declared.join(', ') || 'none is declared'}`]
    const next = kubectl(site, 'get', 'service', site.app, '-o', 'yaml', '--show-managed-fields')
    return [{ ...base, id: 'target-port', what, evidence, next }]
  })
}

const hasPort = ({ spec }: SeenPod, wantedPort: string | number): boolean =>
  spec.containers.some(({ ports }) =>
    ports.some(({ name, containerPort }) => name === wantedPort || containerPort === wantedPort),
  )

const portsOf = ({ spec }: SeenPod): string[] =>
  spec.containers.flatMap(({ ports }) =>
    ports.map(({ name, containerPort }) => (name ? `${name} (${containerPort})` : `${containerPort}`)),
  )

function scaledDown(about: Case): Cause[] {
  const { live, site } = about
  const state = live && stateOf(about, live)
  if (!live || !state?.deployment || wanted(state) > 0) return []
  const { name } = state.deployment.metadata
  const what = `${called(about, live)} was scaled down to nothing`
  const next = kubectl(site, 'scale', 'deployment', name, '--replicas=1')
  return [{ ...base, id: 'scaled-down', what, evidence: [`Deployment ${name} wants 0 pods`], next }]
}

/** Nothing ready behind the Service: what keeps the pods from being ready explains it, if it is known. */
function endpoints(about: Case): Cause[] {
  const { live, site } = about
  if (live === undefined) return []
  const found = slicesOf(about).flatMap(readyOf).length
  const ready = podsOf(about, live).filter(isReady).length
  if (found > 0) return []
  const what = `Service ${site.app} has no ready endpoint`
  const evidence = [`${ready} pods of ${live} are ready, ${found} are behind the Service`]
  const next = kubectl(site, 'describe', 'service', site.app)
  return [{ ...base, id: 'endpoints', what, evidence, next }]
}

/** A switch moves new connections; who keeps one stays where it leads until that pod ends. */
function keptConnections(about: Case): Cause[] {
  const { observed, idle, site, live } = about
  const at = Date.parse(observed.switch?.at ?? '')
  if (!idle || !live || answersOf(about, live).some(isWrong)) return []
  const older = podsOf(about, idle).filter(
    (pod) => isReady(pod) && Date.parse(pod.metadata.creationTimestamp ?? '') < at,
  )
  const left = observed.switch?.from?.color === idle
  if (!left || older.length === 0) return []
  const what = `clients that keep a connection may still be on ${idle}`
  const evidence = [
    `${older.length} of its pods are older than the switch (${observed.switch?.at}), so none of their connections was closed`,
    `new connections lead to ${live}; afterSwitch: ${site.afterSwitch}`,
  ]
  const next = kubectl(site, 'rollout', 'restart', `deployment/${names(site.app).deployment(idle)}`)
  return [{ ...base, certainty: 'possible', id: 'kept-connections', what, evidence, next }]
}
