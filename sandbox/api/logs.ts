/** `kubectl logs`. */
import type { LogOptions, LogSource } from '../hooks.ts'
import type { Store } from '../store.ts'
import { badRequest } from '../status.ts'
import { listAt, stringAt } from './json.ts'
import { stored } from './read.ts'
import { type ApiRequest, isTrue } from './request.ts'

/** @throws ApiError 400 where it is not clear which container is meant */
export function logs(store: Store, source: LogSource, request: ApiRequest): Response {
  const pod = stored(store, request)
  const { namespace = '', name } = pod.metadata
  const containers = listAt(pod, 'spec', 'containers').map((each) => stringAt(each, 'name'))
  const all = [...containers, ...listAt(pod, 'spec', 'initContainers').map((each) => stringAt(each, 'name'))]
  const asked = request.query.get('container')
  if (asked && !all.includes(asked)) throw badRequest(`container ${asked} is not valid for pod ${name}`)
  if (!asked && containers.length > 1) {
    throw badRequest(
      `a container name must be specified for pod ${name}, choose one of: [${containers.join(' ')}]`,
    )
  }
  const container = asked ?? containers[0] ?? ''
  const text = source.logs(namespace, name, { ...optionsOf(request), container })
  return new Response(text, { headers: { 'content-type': 'text/plain' } })
}

function optionsOf({ query }: ApiRequest): LogOptions {
  const [tailLines, sinceSeconds] = [query.get('tailLines'), query.get('sinceSeconds')]
  return {
    ...(tailLines !== null && { tailLines: Number(tailLines) }),
    ...(sinceSeconds !== null && { sinceSeconds: Number(sinceSeconds) }),
    previous: isTrue(query.get('previous')),
    follow: isTrue(query.get('follow')),
    timestamps: isTrue(query.get('timestamps')),
  }
}
