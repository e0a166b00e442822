/**
 * One JSON patch of the live Service moves traffic: it tests the selector it leaves and the lock it is made
 * under, and carries its own entry for the history, so that there is no instant in which traffic has moved and
 * nobody knows who moved it.
 */
import { key, names, type Color, type Side, type Switch } from '../app/color.ts'
import { getNamed, patchService, pointer, type JsonPatch } from '../cluster/commands.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import { service, type Service } from '../cluster/objects.ts'
import { KubectlError } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import { DeployError, Exit } from '../errors.ts'

export interface Move {
  intent: Switch
  to: Side & { color: Color }
  /** The live Service as it was when the move was decided. */
  service: Service
  /** The lock's token as it must stand on the Service; a rollback puts its own in its place. */
  token: { expected: string | undefined; next: string }
  /** How many pods must be behind the Service afterwards. */
  atLeast: number
  /** No overlap, whatever the settings say. */
  direct?: boolean
  /** Uids of the pods that are known to be the new color's. */
  own?: readonly string[]
}

export const SELECTOR = '/spec/selector'

export async function patchSelector(
  world: World,
  move: Move,
  selector: Record<string, string>,
  onMoved: () => void,
): Promise<Service> {
  const { live } = names(world.environment.app)
  // An interrupt must not leave it unknown whether the patch was made: it is let finish.
  const kubectl = world.kubectl.unstoppable()
  try {
    return await kubectl.change(patchService(live, operations(move, selector)), service)
  } catch (error) {
    const [current] = await kubectl.objects(getNamed(`service/${live}`), service).catch((lost: unknown) => {
      onMoved() // Nobody can tell: the answer to the patch may be all that was lost.
      throw lost
    })
    const moved = (now: Service) => Bun.deepEquals(now.spec.selector, selector) && isOurs(now, move)
    if (current && moved(current)) return current
    const landed = !isAnswer(error) && current && (await landedLate(kubectl, move, current, onMoved, moved))
    if (landed) return landed
    throw refusal(error, move, current)
  }
}

/** What stands in a token's place once no patch under it may land any more. */
export const voided = (token: string): string => `${token}-void`

/** Whether the server itself refused; anything else may still be carried out. */
const isAnswer = (error: unknown): boolean =>
  error instanceof KubectlError && error.refusal !== 'Unreachable' && error.refusal !== 'Other'

/**
 * A patch whose answer was lost may still be carried out. It tests the token that it was made under: another
 * token in its place, and the server refuses it. @returns the Service, if it had been carried out before that
 */
async function landedLate(
  kubectl: Kubectl,
  { token }: Move,
  { metadata }: Service,
  onUnknown: () => void,
  moved: (now: Service) => boolean,
): Promise<Service | undefined> {
  const path = annotation(key.lock)
  const was: JsonPatch[] = token.expected ? [{ op: 'test', path, value: token.expected }] : []
  const value = voided(token.next)
  try {
    const mark = patchService(metadata.name, [...was, { op: 'add', path, value }])
    const [now] = await kubectl.quietly(mark, service)
    if (now === undefined || !moved(now)) return undefined
    // It was carried out, by us: the mark that was to stop it would stop what comes next.
    onUnknown()
    const back: JsonPatch[] = [
      { op: 'test', path, value },
      { op: 'add', path, value: token.next },
    ]
    const [ours] = await kubectl.quietly(patchService(metadata.name, back), service)
    return ours
  } catch (error) {
    onUnknown()
    // A rollback's own token stands there already, in the place of the one that the mark tests: it was carried out.
    const [now] = await kubectl.objects(getNamed(`service/${metadata.name}`), service)
    if (now && moved(now)) return now
    throw error
  }
}

const annotation = (name: string): string => pointer('metadata', 'annotations', name)

/** Pure: the one write that moves traffic. */
export function operations(
  { service: before, intent, token }: Move,
  selector: Record<string, string>,
): JsonPatch[] {
  const hadSelector = Object.keys(before.spec.selector).length > 0
  return [
    ...(hadSelector ? [{ op: 'test', path: SELECTOR, value: before.spec.selector } as const] : []),
    ...(token.expected ? [{ op: 'test', path: annotation(key.lock), value: token.expected } as const] : []),
    { op: 'add', path: SELECTOR, value: selector },
    ...(Object.keys(before.metadata.annotations).length === 0
      ? [{ op: 'add', path: '/metadata/annotations', value: {} } as const]
      : []),
    { op: 'add', path: annotation(key.lock), value: token.next },
    { op: 'add', path: annotation(key.switch), value: JSON.stringify(intent) },
  ]
}

/** The whole intent is compared: one attempt may patch several times, with the same selector too. */
const isOurs = ({ metadata }: Service, { intent }: Move): boolean =>
  metadata.annotations[key.switch] === JSON.stringify(intent)

function refusal(
  error: unknown,
  { service: before, token, to }: Move,
  current: Service | undefined,
): unknown {
  if (!current) return new DeployError('The live Service is gone: nothing was switched')
  if (token.expected && current.metadata.annotations[key.lock] !== token.expected) {
    const problem = `The lock was taken over before the switch to ${to.color}, and the cluster refused it`
    return new DeployError(problem, Exit.locked)
  }
  if (!Bun.deepEquals(current.spec.selector, before.spec.selector)) {
    const was = JSON.stringify(before.spec.selector)
    const is = JSON.stringify(current.spec.selector)
    return new DeployError(
      `Somebody changed the live selector from ${was} to ${is}: the cluster refused the switch`,
    )
  }
  return error
}
