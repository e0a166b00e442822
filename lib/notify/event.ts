/** Each state as an Event of the live Service, so that `kubectl describe service` tells the story. */
import { names } from '../app/color.ts'
import { create, getNamed } from '../cluster/commands.ts'
import { service, stored } from '../cluster/objects.ts'
import { KubectlError } from '../cluster/refusal.ts'
import type { World } from '../cluster/world.ts'
import { plain } from '../text.ts'
import { headline, type Message } from './message.ts'
import { table } from './states.ts'

/** Characters that the API server takes. */
const MOST = 1024

const COMPONENT = 'deploy-scripts'

/** Pure. Its name is the message's id, so that one state is one Event, however often it is told. */
export function eventOf(message: Message, namespace: string, uid: string): object {
  const { level, state, at, why, id, app } = message
  const time = at.replace(/\.\d+Z$/, 'Z')
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${app}.${id}`, namespace, labels: { app } },
    involvedObject: { apiVersion: 'v1', kind: 'Service', name: names(app).live, namespace, uid },
    type: level === 'info' ? 'Normal' : 'Warning',
    reason: table[state].reason,
    message: plain(`${headline(message)}${why ? `. ${why}` : ''}`, MOST),
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
    source: { component: COMPONENT },
    reportingComponent: COMPONENT,
    reportingInstance: '',
  }
}

/** `describe` asks by the Service's uid, so an Event must name it. @throws KubectlError, but for one that is there */
export async function writeEvent({ environment, kubectl }: World, message: Message): Promise<void> {
  const steady = kubectl.unstoppable()
  const { app, namespace } = environment
  const [live] = await steady.objects(getNamed(`service/${names(app).live}`), service)
  if (!live) return // before the first deployment there is nothing to describe
  const input = JSON.stringify(eventOf(message, namespace, live.metadata.uid))
  try {
    await steady.quietly(create(), stored, { input })
  } catch (error) {
    if (!(error instanceof KubectlError) || error.refusal !== 'AlreadyExists') throw error
  }
}
