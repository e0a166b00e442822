/** Creating and changing objects: defaults, validation, admission, addresses, ownership; then the store. */
import type { KubeObject, Store } from '../store.ts'
import { badRequest, conflict, forbidden, notFound } from '../status.ts'
import { applyDefaults } from './defaults.ts'
import { at, isMap, type JsonMap, listAt, mapAt, stringAt, toMap } from './json.ts'
import { type Writer, recordUpdate } from './managed-fields.ts'
import { admit } from './quota.ts'
import { resourceNamed } from './resources.ts'
import { allocate, keepAllocations } from './service.ts'
import { checkObject, checkUpdate } from './validate/object.ts'
import { refuseProblems } from './validate/problems.ts'
import { checkAllocations } from './validate/service.ts'

export interface Write {
  dryRun?: boolean
  /** Who takes ownership of the fields. Left out by controllers, and by apply, which settles ownership itself. */
  writer?: Writer
}

/** Fields that only the server sets; a client that creates an object cannot. */
const SERVER_FIELDS = [
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'generation',
  'deletionTimestamp',
] as const

/**
 * Creates an object as a POST would; node controllers use it too. The object that was stored is returned.
 * @throws ApiError as a real server answers: 403, 404 (namespace), 409, 422
 */
export function createObject<T extends KubeObject>(
  store: Store,
  resource: string,
  given: T,
  write: Write = {},
): T {
  const object: T = structuredClone(given)
  for (const field of SERVER_FIELDS) delete object.metadata[field]
  nameIt(object)
  const { name, namespace } = object.metadata
  const { namespaced } = resourceNamed(resource)
  if (namespaced) checkNamespace(store, resource, name, namespace)
  if (hasOwnStatus(resource)) delete object.status
  applyDefaults(object)
  initialStatus(object)
  prepare(store, resource, object)
  if (write.writer) recordUpdate(object, undefined, write.writer)
  return store.create(resource, object, { dryRun: write.dryRun === true })
}

function prepare(store: Store, resource: string, object: KubeObject): void {
  refuseProblems(resource, object.metadata.name, checkObject(resource, object))
  if (resource === 'pods') admitServiceAccount(store, object)
  admit(store, resource, object)
  if (resource === 'services') addresses(store, object)
}

/** @throws ApiError 422 for an address that is taken, out of range, or another than before */
function addresses(store: Store, object: KubeObject, before?: KubeObject): void {
  refuseProblems('services', object.metadata.name, checkAllocations(store, object, before))
  allocate(store, object)
}

function nameIt({ metadata }: KubeObject): void {
  const prefix = at(metadata, 'generateName')
  if (metadata.name || typeof prefix !== 'string') return
  metadata.name = prefix + suffix()
}

/** Five letters as Kubernetes draws them: no vowels, nothing that looks like something else. */
function suffix(): string {
  const letters = 'bcdfghjklmnpqrstvwxz2456789'
  const bytes = crypto.getRandomValues(new Uint8Array(5))
  return [...bytes].map((byte) => letters[byte % letters.length]).join('')
}

function checkNamespace(store: Store, resource: string, name: string, namespace: string | undefined): void {
  if (!namespace) throw badRequest('an empty namespace may not be set during creation')
  const found = store.get('namespaces', undefined, namespace)
  if (!found) throw notFound('namespaces', namespace)
  if (!found.metadata.deletionTimestamp) return
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`
  throw forbidden(resource, name, why)
}

/** A kind with a status subresource: its status is written there alone. Nodes may bring theirs along. */
function hasOwnStatus(resource: string): boolean {
  return resource !== 'nodes' && resourceNamed(resource).subresources.includes('status')
}

function initialStatus(object: KubeObject): void {
  if (object.kind === 'Pod') object.status = { phase: 'Pending', qosClass: qosClass(mapAt(object, 'spec')) }
  if (['Deployment', 'ReplicaSet', 'Job', 'CronJob', 'Ingress'].includes(object.kind)) object.status ??= {}
}

function qosClass(spec: JsonMap): string {
  const resources = listAt(spec, 'containers').map((container) => mapAt(container, 'resources'))
  const isBare = resources.every((each) => !at(each, 'requests') && !at(each, 'limits'))
  if (isBare) return 'BestEffort'
  const isGuaranteed = resources.every((each) =>
    ['cpu', 'memory'].every((unit) => {
      const limit = at(each, 'limits', unit)
      return limit !== undefined && at(each, 'requests', unit) === limit
    }),
  )
  return isGuaranteed ? 'Guaranteed' : 'Burstable'
}

/** A pod runs as some account, `default` if it names none; another must exist. */
function admitServiceAccount(store: Store, object: KubeObject): void {
  const { name, namespace } = object.metadata
  const spec = mapAt(object, 'spec')
  const account = stringAt(spec, 'serviceAccountName') || 'default'
  Object.assign(spec, { serviceAccountName: account, serviceAccount: account })
  if (account === 'default' || store.get('serviceaccounts', namespace, account)) return
  const missing = `serviceaccount "${account}" not found`
  throw forbidden('pods', name, `error looking up service account ${namespace}/${account}: ${missing}`)
}

export interface Update extends Write {
  subresource?: string
}

/**
 * Replaces `before` by `given` as a PUT would.
 * @throws ApiError 409 when a resourceVersion or uid in it is not the stored one, 422
 */
export function updateObject(
  store: Store,
  resource: string,
  before: KubeObject,
  given: KubeObject,
  { writer, dryRun = false, subresource }: Update,
): KubeObject {
  refuseStale(resource, before, given)
  const object = subresource === 'status' ? withStatus(before, given) : withoutStatus(resource, before, given)
  applyDefaults(object)
  if (resource === 'services') keepAllocations(object, before)
  if (subresource !== 'status') {
    refuseProblems(resource, object.metadata.name, [
      ...checkObject(resource, object),
      ...checkUpdate(object, before),
    ])
  }
  if (resource === 'services') addresses(store, object, before)
  if (writer) recordUpdate(object, before, { ...writer, ...(subresource && { subresource }) })
  // A real server counts a Deployment's annotations as part of what its controller must observe.
  const newGeneration =
    resource === 'deployments' && !Bun.deepEquals(object.metadata.annotations, before.metadata.annotations)
  return store.update(resource, object, { dryRun, newGeneration })
}

function refuseStale(resource: string, before: KubeObject, given: KubeObject): void {
  const { uid, resourceVersion, name } = given.metadata
  if (resourceVersion && resourceVersion !== before.metadata.resourceVersion) throw conflict(resource, name)
  if (!uid || uid === before.metadata.uid) return
  const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid ?? ''}`
  throw conflict(resource, name, why)
}

function withStatus(before: KubeObject, given: KubeObject): KubeObject {
  const { managedFields } = given.metadata
  const metadata = { ...before.metadata, ...(managedFields && { managedFields }) }
  return structuredClone({ ...before, metadata, status: given.status })
}

function withoutStatus(resource: string, before: KubeObject, given: KubeObject): KubeObject {
  const object = structuredClone(given)
  for (const field of [
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'creationTimestamp',
    'uid',
  ] as const) {
    const stored = before.metadata[field]
    if (stored === undefined) delete object.metadata[field]
    else Object.assign(object.metadata, { [field]: stored })
  }
  if (!hasOwnStatus(resource)) return object
  delete object.status
  if (isMap(toMap(before).status)) object.status = structuredClone(before.status)
  return object
}
