/** What the API server fills in: first the plain defaults of schema.txt, then those that depend on other fields. */
import type { KubeObject } from '../store.ts'
import { at, isMap, type Json, type JsonMap, listAt, mapAt, stringAt, text, toMap } from './json.ts'
import { serviceDefaults } from './service.ts'
import { type Shape, struct, structOf } from './schema.ts'

/** Fills in the object itself. */
export function applyDefaults(object: KubeObject): void {
  const map = toMap(object)
  fillStruct(structOf(object.kind, versionOf(object)).name, map)
  const template = podTemplateOf(map)
  if (template) podSpecDefaults(mapAt(template, 'spec'))
  const own = kinds[object.kind]
  if (own) own(map)
}

function versionOf({ apiVersion }: KubeObject): string {
  return apiVersion.slice(apiVersion.lastIndexOf('/') + 1)
}

/** The pod that a kind makes, or is. */
function podTemplateOf(map: JsonMap): JsonMap | undefined {
  if (map.kind === 'Pod') return map
  const path = map.kind === 'CronJob' ? ['spec', 'jobTemplate', 'spec', 'template'] : ['spec', 'template']
  const template = at(map, ...path)
  return isMap(template) ? template : undefined
}

function fillStruct(name: string, value: JsonMap): void {
  for (const field of struct(name).fields.values()) {
    if (value[field.name] === undefined && field.default !== undefined) {
      value[field.name] = structuredClone(field.default)
    }
    const present = value[field.name]
    if (present !== undefined) fill(field.shape, present)
  }
}

function fill(shape: Shape, value: Json): void {
  if (shape.is === 'struct' && isMap(value)) fillStruct(shape.name, value)
  if (shape.is === 'list' && Array.isArray(value)) for (const item of value) fill(shape.of, item)
}

const kinds: Record<string, (map: JsonMap) => void> = {
  Service: serviceDefaults,
  Deployment: ({ spec }) => {
    if (!isMap(spec)) return
    const strategy = mapAt(spec, 'strategy')
    strategy.type ??= 'RollingUpdate'
    spec.strategy = strategy
    if (strategy.type !== 'RollingUpdate') return
    strategy.rollingUpdate = { maxUnavailable: '25%', maxSurge: '25%', ...mapAt(strategy, 'rollingUpdate') }
  },
  Pod: ({ spec }) => {
    if (!isMap(spec)) return
    spec.enableServiceLinks ??= true
    for (const container of containersOf(spec)) requestsFromLimits(container)
  },
  Job: (map) => jobDefaults(map),
  CronJob: (map) => {
    const spec = at(map, 'spec', 'jobTemplate', 'spec')
    if (isMap(spec)) jobCounts(spec)
  },
  HorizontalPodAutoscaler: ({ spec }) => {
    if (!isMap(spec) || spec.metrics) return
    const target = { type: 'Utilization', averageUtilization: 80 }
    spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }]
  },
  RoleBinding: bindingDefaults,
  ClusterRoleBinding: bindingDefaults,
  NetworkPolicy: ({ spec }) => {
    if (!isMap(spec)) return
    spec.policyTypes ??= ['Ingress', ...(listAt(spec, 'egress').length > 0 ? ['Egress'] : [])]
  },
  Namespace: (map) => {
    const name = stringAt(map, 'metadata', 'name')
    const metadata = mapAt(map, 'metadata')
    metadata.labels = { ...mapAt(metadata, 'labels'), 'kubernetes.io/metadata.name': name }
    map.spec = { finalizers: ['kubernetes'], ...mapAt(map, 'spec') }
    map.status = { phase: 'Active', ...mapAt(map, 'status') }
  },
  PersistentVolumeClaim: (map) => {
    map.status = { phase: 'Pending', ...mapAt(map, 'status') }
  },
  Secret: (map) => {
    const given = Object.entries(mapAt(map, 'stringData'))
    delete map.stringData
    if (given.length === 0) return
    map.data = {
      ...mapAt(map, 'data'),
      ...Object.fromEntries(given.map(([key, value]) => [key, Buffer.from(text(value)).toString('base64')])),
    }
  },
}

function containersOf(podSpec: unknown): JsonMap[] {
  return [...listAt(podSpec, 'initContainers'), ...listAt(podSpec, 'containers')]
}

function podSpecDefaults(spec: JsonMap): void {
  const account = spec.serviceAccountName ?? spec.serviceAccount
  if (account) Object.assign(spec, { serviceAccountName: account, serviceAccount: account })
  for (const container of containersOf(spec)) {
    container.imagePullPolicy ??= isLatest(stringAt(container, 'image')) ? 'Always' : 'IfNotPresent'
  }
}

/** No tag means `:latest`; a digest never does. */
function isLatest(image: string): boolean {
  const last = image.slice(image.lastIndexOf('/') + 1)
  return !last.includes('@') && (!last.includes(':') || last.endsWith(':latest'))
}

function requestsFromLimits(container: JsonMap): void {
  const limits = mapAt(container, 'resources', 'limits')
  if (Object.keys(limits).length === 0) return
  mapAt(container, 'resources').requests = { ...limits, ...mapAt(container, 'resources', 'requests') }
}

function jobCounts(spec: JsonMap): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
  spec.parallelism ??= 1
}

/** A Job selects its pods by its own uid, unless it is told not to. */
function jobDefaults(map: JsonMap): void {
  const spec = mapAt(map, 'spec')
  const metadata = mapAt(map, 'metadata')
  const template = mapAt(spec, 'template')
  if (Object.keys(template).length === 0) return
  jobCounts(spec)
  const templateMetadata = mapAt(template, 'metadata')
  if (spec.manualSelector === true || spec.selector !== undefined) return
  const uid = (metadata.uid ??= crypto.randomUUID())
  const name = stringAt(metadata, 'name')
  const own = { 'batch.kubernetes.io/controller-uid': uid, 'batch.kubernetes.io/job-name': name }
  const legacy = { 'controller-uid': uid, 'job-name': name }
  template.metadata = {
    ...templateMetadata,
    labels: { ...mapAt(templateMetadata, 'labels'), ...own, ...legacy },
  }
  metadata.labels ??= { ...mapAt(template, 'metadata', 'labels') }
  spec.selector = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } }
}

function bindingDefaults(map: JsonMap): void {
  const group = 'rbac.authorization.k8s.io'
  const { roleRef } = map
  if (isMap(roleRef) && !roleRef.apiGroup) roleRef.apiGroup = group
  for (const subject of listAt(map, 'subjects')) {
    if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ??= group
  }
}
