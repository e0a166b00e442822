/** The scale subresource: replicas alone, so that `kubectl scale` needs to know nothing else of a kind. */
import type { KubeObject, Store } from '../store.ts'
import { ApiError } from '../status.ts'
import type { Body } from './body.ts'
import { decode } from './decode.ts'
import { type JsonMap, at, isMap, mapAt, numberAt, stringAt } from './json.ts'
import { managerName } from './managed-fields.ts'
import { patched } from './patch.ts'
import { stored } from './read.ts'
import { type ApiRequest, isDryRun } from './request.ts'
import { struct } from './schema.ts'
import { formatSelector } from './selector.ts'
import { updateObject } from './write.ts'

export function scaleOf({ metadata, ...object }: KubeObject): JsonMap {
  const { name, namespace = '', uid = '', resourceVersion = '', creationTimestamp = '' } = metadata
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(object, 'spec', 'replicas') },
    status: {
      replicas: numberAt(object, 'status', 'replicas'),
      selector: formatSelector(at(object, 'spec', 'selector')),
    },
  }
}

/** @throws ApiError */
export function setScale(store: Store, request: ApiRequest, body: Body): JsonMap {
  const { resource, method, name = '', query, headers } = request
  const before = stored(store, request)
  const current = scaleOf(before)
  const shape = { is: 'struct', name: 'Scale' } as const
  const next = method === 'PATCH' ? patched(body.contentType, shape, current, body.value) : body.value
  const scale = decode(struct('Scale'), isMap(next) ? next : {}).value
  const replicas = numberAt(scale, 'spec', 'replicas')
  if (replicas < 0) {
    const message = `Scale.autoscaling "${name}" is invalid: spec.replicas: Invalid value: ${replicas}: must be greater than or equal to 0`
    throw new ApiError(422, 'Invalid', message, { name, group: 'autoscaling', kind: 'Scale' })
  }
  const resourceVersion = stringAt(scale, 'metadata', 'resourceVersion')
  const scaled: KubeObject = {
    ...before,
    metadata: { ...before.metadata, ...(resourceVersion && { resourceVersion }) },
    spec: { ...mapAt(before, 'spec'), replicas },
  }
  const manager = managerName(query.get('fieldManager'), headers.get('user-agent'))
  const writer = { manager, operation: 'Update', apiVersion: before.apiVersion } as const
  const write = { writer, dryRun: isDryRun(request), subresource: 'scale' }
  return scaleOf(updateObject(store, resource.name, before, scaled, write))
}
