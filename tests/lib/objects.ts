/** Objects of the application as a cluster would hold them, as small as the scripts' reading of them allows. */
import { key, type Color, type Place } from '../../lib/app/color.ts'
import type { Manifest } from '../../lib/cluster/objects.ts'

export const APP = 'chat'

/** Where it is, as a command must say it. */
export const SITE = { app: APP, context: 'test', namespace: 'chat-test' }

/** What a test puts into the cluster and reads from it again. */
export interface Stored {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    uid?: string
    resourceVersion?: string
    generation?: number
    creationTimestamp?: string
    deletionTimestamp?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[]
  }
  spec?: Record<string, unknown>
  status?: Record<string, unknown>
  data?: Record<string, string>
  binaryData?: Record<string, string>
}

export const digest = (letter: string): string => `sha256:${letter.repeat(64)}`
export const image = (letter: string): string => `ghcr.io/example/chat@${digest(letter)}`

export interface Made {
  release: string
  version: string
  image: string
}

/** `made('1.0.0')`: what a release of that version is called throughout the tests. */
export function made(version: string): Made {
  const letter = 'abcdef'[Number(version.split('.')[1]) % 6] ?? 'a'
  return { release: `r${version}`, version, image: image(letter) }
}

const nameOf = (place: Place): string => (place === 'plain' ? APP : `${APP}-${place}`)
const colorOf = (place: Place): Record<string, string> => (place === 'plain' ? {} : { color: place })

/** A Deployment as `kubectl kustomize` paints it. */
export function deployment(place: Place, { release, version, image }: Made, replicas = 2): Manifest {
  const annotations = { [key.release]: release, [key.version]: version, [key.image]: image }
  const labels = { app: APP, ...colorOf(place) }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: nameOf(place), labels, annotations },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels, annotations }, spec: { containers: [{ name: 'app', image }] } },
    },
  }
}

/** Any other object of a release, as it was painted. */
export function objectOf(
  version: string,
  kind: string,
  name: string,
  place: Place = 'green',
  apiVersion = 'v1',
): Manifest {
  const { release } = made(version)
  const annotations = { [key.release]: release, [key.version]: version }
  return { apiVersion, kind, metadata: { name, labels: { app: APP, ...colorOf(place) }, annotations } }
}

export function autoscaler(place: Place, minReplicas = 1, maxReplicas = 4): Manifest {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: nameOf(place), labels: { app: APP, ...colorOf(place) } },
    spec: { scaleTargetRef: { name: nameOf(place) }, minReplicas, maxReplicas },
  }
}

/** A Service of the shared part: its selector belongs to the switch. */
export const service = (name: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, labels: { app: APP } },
  spec: { ports: [{ port: 80 }] },
})

export const live = (color: Color): Record<string, string> => ({ app: APP, color })

export const READY = { type: 'Ready', status: 'True' }

/** A pod's status when all is well. */
export const ready = (): Record<string, unknown> => ({
  phase: 'Running',
  conditions: [READY],
  containerStatuses: [{ name: 'app', ready: true, restartCount: 0, state: { running: {} } }],
})

/** A pod's status while its only container waits, for the reason that is given. */
export const waiting = (reason: string, message = ''): Record<string, unknown> => ({
  phase: 'Pending',
  conditions: [],
  containerStatuses: [
    { name: 'app', ready: false, restartCount: 0, state: { waiting: { reason, message } } },
  ],
})
