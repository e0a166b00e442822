/**
 * CDEvents 0.5.1 as CloudEvents 1.0 over HTTP, in binary mode: what has happened to the service, for tools that draw
 * a pipeline or count DORA's figures. https://github.com/cdevents/spec
 */
import type { State } from '../settings/notify.ts'
import type { Message } from './message.ts'
import { asText } from './message.ts'
import { post, type Sender } from './post.ts'

const SPEC = '0.5.1'

type Kind = 'service' | 'pipelinerun' | 'taskrun' | 'incident'

/** `[subject, predicate]`, and for what has finished how. */
const EVENTS: Record<State, readonly [Kind, string, ('success' | 'failure' | 'cancel' | 'error')?]> = {
  started: ['pipelinerun', 'started'],
  verified: ['service', 'deployed'],
  switched: ['service', 'upgraded'],
  baking: ['taskrun', 'started'],
  succeeded: ['pipelinerun', 'finished', 'success'],
  stopped: ['pipelinerun', 'finished', 'failure'],
  'rolled-back': ['service', 'rolledback'],
  'rolled-back-by-hand': ['service', 'rolledback'],
  'rollback-failed': ['incident', 'detected'],
  'needs-person': ['incident', 'detected'],
  'lock-taken-over': ['pipelinerun', 'finished', 'error'],
  superseded: ['pipelinerun', 'finished', 'cancel'],
  environment: ['incident', 'detected'],
}

export interface CdEvent {
  context: {
    specversion: string
    id: string
    source: string
    type: string
    timestamp: string
    chainId: string
  }
  subject: { id: string; source: string; content: object }
  customData: object
  customDataContentType: 'application/json'
}

/** Pure. */
export function cdEvent(message: Message, image: string): CdEvent {
  const [kind, predicate] = EVENTS[message.state]
  const { id, record, at, app, environment } = message
  const source = `/deploy-scripts/${encodeURIComponent(app)}/${encodeURIComponent(environment)}`
  return {
    context: {
      specversion: SPEC,
      id,
      source,
      type: `dev.cdevents.${kind}.${predicate}.0.3.0`,
      timestamp: at,
      chainId: record,
    },
    subject: { id: kind === 'service' ? app : record, source, content: contentOf(message, image) },
    customData: message,
    customDataContentType: 'application/json',
  }
}

function contentOf(message: Message, image: string): object {
  const [kind, , outcome] = EVENTS[message.state]
  const { app, environment: id, why, link, state, record } = message
  const environment = { id }
  // What has started must name where it is to be seen, in absolute form; without a report, nothing is to be seen there.
  const uri = link ?? `urn:deploy-scripts:${[app, id, record].map(encodeURIComponent).join(':')}`
  switch (kind) {
    case 'service':
      return { environment, artifactId: packageUrl(image) }
    case 'incident':
      return {
        environment,
        description: asText(message),
        service: { id: app },
        artifactId: packageUrl(image),
      }
    case 'taskrun':
      return { taskName: state, pipelineRun: { id: record }, uri }
    case 'pipelinerun':
      break
  }
  const errors = outcome && outcome !== 'success' && why ? { errors: why } : {}
  return { pipelineName: `deploy ${app} to ${id}`, uri, ...(outcome && { outcome }), ...errors }
}

/** `pkg:oci/chat@sha256%3A…?repository_url=ghcr.io/example/chat` https://github.com/package-url/purl-spec */
export function packageUrl(image: string): string {
  const [repository = '', digest = ''] = image.split('@')
  const name = encodeURIComponent(repository.split('/').at(-1) ?? '')
  const version = digest && `@${encodeURIComponent(digest)}`
  return `pkg:oci/${name}${version}?repository_url=${encodeURIComponent(repository)}`
}

export const cdevents = ({ url }: { url: string }, token: string | undefined, image: string): Sender => ({
  once: true,
  secrets: token === undefined ? [] : [token],
  send: async (message, { signal, now }) => {
    const event = cdEvent(message, image)
    const { id, source, type, timestamp } = event.context
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-source': source,
      'ce-type': type,
      'ce-time': timestamp,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    return (await post(url, { headers, body: event, signal, now })).result
  },
})
