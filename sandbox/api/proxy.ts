/** `kubectl get --raw /api/v1/namespaces/x/pods/NAME:PORT/proxy/PATH`: a pod is asked in the caller's place. */
import { ApiError } from '../status.ts'
import type { Store } from '../store.ts'
import { listAt, numberAt, stringAt } from './json.ts'
import { stored } from './read.ts'
import type { ApiRequest } from './request.ts'

/** @throws ApiError 404 without the pod, 400 without an address of it, 503 when it does not answer */
export async function proxy(store: Store, request: ApiRequest, gone: AbortSignal): Promise<Response> {
  const [name = '', port] = (request.name ?? '').split(':')
  const pod = stored(store, { ...request, name })
  const host = stringAt(pod, 'status', 'podIP')
  if (!host) throw new ApiError(400, 'BadRequest', 'address not allowed')
  const first = listAt(pod, 'spec', 'containers').flatMap((container) => listAt(container, 'ports'))[0]
  const url = `http://${host}:${port ?? (numberAt(first, 'containerPort') || 80)}${request.rest}?${request.query.toString()}`
  try {
    const answer = await fetch(url, { redirect: 'manual', keepalive: false, signal: gone })
    const type = answer.headers.get('content-type')
    return new Response(answer.body, {
      status: answer.status,
      headers: type === null ? {} : { 'content-type': type },
    })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ApiError(503, 'ServiceUnavailable', `error trying to reach service: ${why}`)
  }
}
