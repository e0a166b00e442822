/** What a new or changed object of each kind must be. Sentences and their order are those of a real server. */
import type { KubeObject } from '../../store.ts'
import { at, type JsonMap, isMap, listAt, mapAt, numberAt, stringAt, text, toMap } from '../json.ts'
import { matchesSelector } from '../selector.ts'
import { checkMetadata, checkSelector } from './names.ts'
import { atLeastZero, checkPodSpec, checkPodTemplate, oneOf } from './pod.ts'
import { type Problem, forbiddenField, invalid, required, unsupported } from './problems.ts'
import { checkService } from './service.ts'

export function checkObject(resource: string, object: KubeObject): Problem[] {
  const map = toMap(object)
  return [...checkMetadata(resource, map), ...(kinds[object.kind]?.(map) ?? [])]
}

/** What an update may not touch. */
export function checkUpdate(object: KubeObject, before: KubeObject): Problem[] {
  const fixed = immutable[object.kind] ?? []
  return [
    ...fixed.flatMap((path) => {
      const value = at(object, ...path)
      const isSame = Bun.deepEquals(value, at(before, ...path))
      return isSame
        ? []
        : [invalid(path.join('.'), value ?? null, why[path.join('.')] ?? 'field is immutable')]
    }),
    ...(object.kind === 'Pod' ? checkPodUpdate(object, before) : []),
    ...checkImmutableData(object, before),
  ]
}

const immutable: Record<string, string[][]> = {
  Deployment: [['spec', 'selector']],
  ReplicaSet: [['spec', 'selector']],
  Job: [
    ['spec', 'completions'],
    ['spec', 'selector'],
    ['spec', 'template'],
  ],
  RoleBinding: [['roleRef']],
  ClusterRoleBinding: [['roleRef']],
  Secret: [['type']],
}

const why: Record<string, string> = { roleRef: 'cannot change roleRef' }

const kinds: Record<string, (map: JsonMap) => Problem[]> = {
  Pod: (map) => checkPodSpec('spec', mapAt(map, 'spec')),
  Service: checkService,
  Deployment: (map) => [...checkWorkload(map), ...checkStrategy(mapAt(map, 'spec', 'strategy'))],
  ReplicaSet: checkWorkload,
  Job: (map) => checkJob('spec', mapAt(map, 'spec')),
  CronJob: (map) => checkCronJob(mapAt(map, 'spec')),
  ConfigMap: (map) => checkData(map, ['data', 'binaryData']),
  Secret: (map) => checkData(map, ['data']),
  HorizontalPodAutoscaler: checkAutoscaler,
  PodDisruptionBudget: ({ spec }) => {
    const both = at(spec, 'minAvailable') !== undefined && at(spec, 'maxUnavailable') !== undefined
    return both ? [invalid('spec', spec ?? null, 'minAvailable and maxUnavailable cannot be both set')] : []
  },
  RoleBinding: checkBinding,
  ClusterRoleBinding: checkBinding,
  Role: checkRules,
  ClusterRole: checkRules,
  Ingress: checkIngress,
  Lease: ({ spec }) => {
    const seconds = at(spec, 'leaseDurationSeconds')
    const wrong = typeof seconds === 'number' && seconds <= 0
    return wrong ? [invalid('spec.leaseDurationSeconds', seconds, 'must be greater than 0')] : []
  },
}

function checkWorkload(map: JsonMap): Problem[] {
  const spec = mapAt(map, 'spec')
  const replicas = numberAt(spec, 'replicas')
  const template = mapAt(spec, 'template')
  return [
    ...(replicas < 0 ? [atLeastZero('spec.replicas', replicas)] : []),
    ...checkOwnSelector(spec),
    ...checkPodTemplate('spec.template', template, ['Always']),
  ]
}

function checkOwnSelector(spec: JsonMap): Problem[] {
  const labels = mapAt(spec, 'template', 'metadata', 'labels')
  const mismatch = invalid(
    'spec.template.metadata.labels',
    labels,
    '`selector` does not match template `labels`',
  )
  if (!isMap(spec.selector)) return [required('spec.selector'), mismatch]
  if (Object.keys(spec.selector).length === 0) {
    return [invalid('spec.selector', {}, 'empty selector is invalid for deployment')]
  }
  return [
    ...checkSelector('spec.selector', spec.selector),
    ...(matchesSelector(spec.selector, labels) ? [] : [mismatch]),
  ]
}

function checkStrategy(strategy: JsonMap): Problem[] {
  const field = 'spec.strategy.rollingUpdate'
  const rolling = strategy.rollingUpdate
  if (strategy.type === 'Recreate') {
    return rolling ? [forbiddenField(field, "may not be specified when strategy `type` is 'Recreate'")] : []
  }
  if (strategy.type !== 'RollingUpdate')
    return oneOf('spec.strategy.type', strategy.type, ['Recreate', 'RollingUpdate'])
  const [surge, unavailable] = [at(rolling, 'maxSurge'), at(rolling, 'maxUnavailable')]
  return [
    ...checkAmount(`${field}.maxUnavailable`, unavailable),
    ...checkAmount(`${field}.maxSurge`, surge),
    ...(isZero(surge) && isZero(unavailable)
      ? [invalid(`${field}.maxUnavailable`, unavailable, 'may not be 0 when `maxSurge` is 0')]
      : []),
  ]
}

function isZero(amount: unknown): boolean {
  return amount === 0 || amount === '0%'
}

function checkAmount(field: string, amount: unknown): Problem[] {
  if (typeof amount === 'number') return amount < 0 ? [atLeastZero(field, amount)] : []
  if (typeof amount !== 'string' || /^[0-9]+%$/.test(amount)) return []
  const rule =
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
  return [invalid(field, amount, rule)]
}

function checkJob(field: string, spec: JsonMap): Problem[] {
  const template = mapAt(spec, 'template')
  const policy = stringAt(template, 'spec', 'restartPolicy')
  const fits = policy === 'OnFailure' || policy === 'Never'
  const where = `${field}.template.spec.restartPolicy`
  const valid = 'valid values: "OnFailure", "Never"'
  return [
    ...['parallelism', 'completions', 'backoffLimit', 'activeDeadlineSeconds', 'ttlSecondsAfterFinished']
      .filter((key) => numberAt(spec, key) < 0)
      .map((key) => atLeastZero(`${field}.${key}`, numberAt(spec, key))),
    ...checkPodTemplate(`${field}.template`, template),
    ...(policy === 'Always' || policy === ''
      ? [required(where, valid)]
      : fits
        ? []
        : [unsupported(where, policy, ['OnFailure', 'Never'])]),
  ]
}

function checkCronJob(spec: JsonMap): Problem[] {
  const schedule = stringAt(spec, 'schedule')
  return [
    ...(schedule ? [] : [required('spec.schedule')]),
    ...(schedule && !/^(@\w+(\s\S+)?|\S+(\s+\S+){4})$/.test(schedule)
      ? [
          invalid(
            'spec.schedule',
            schedule,
            `expected exactly 5 fields, found ${schedule.split(/\s+/).length}: [${schedule}]`,
          ),
        ]
      : []),
    ...oneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace']),
    ...checkJob('spec.jobTemplate.spec', mapAt(spec, 'jobTemplate', 'spec')),
  ]
}

const KEY = '[-._a-zA-Z0-9]+'
const MAX_DATA = 1024 * 1024

function checkData(map: JsonMap, fields: string[]): Problem[] {
  const entries = fields.flatMap((field) =>
    Object.entries(mapAt(map, field)).map(([key, value]) => ({ field, key, value })),
  )
  const size = entries.reduce((sum, { value }) => sum + Buffer.byteLength(text(value)), 0)
  const sentence = `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '${KEY}')`
  const tooLong = {
    ...invalid('', '', ''),
    field: '',
    message: `Too long: must have at most ${MAX_DATA} bytes`,
  }
  return [
    ...entries
      .filter(({ key }) => !new RegExp(`^${KEY}$`).test(key))
      .map(({ field, key }) => invalid(`${field}[${key}]`, key, sentence)),
    ...(size > MAX_DATA ? [tooLong] : []),
  ]
}

function checkImmutableData(object: KubeObject, before: KubeObject): Problem[] {
  if (at(before, 'immutable') !== true) return []
  return ['data', 'binaryData', 'immutable']
    .filter((field) => !Bun.deepEquals(at(object, field), at(before, field)))
    .map((field) => forbiddenField(field, 'field is immutable when `immutable` is set'))
}

function checkAutoscaler(map: JsonMap): Problem[] {
  const spec = mapAt(map, 'spec')
  const [min, max] = [numberAt(spec, 'minReplicas'), numberAt(spec, 'maxReplicas')]
  return [
    ...(min < 1 ? [invalid('spec.minReplicas', min, 'must be greater than or equal to 1')] : []),
    ...(max < 1 ? [invalid('spec.maxReplicas', max, 'must be greater than 0')] : []),
    ...(max < min
      ? [invalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`')]
      : []),
    ...['kind', 'name']
      .filter((key) => !at(spec, 'scaleTargetRef', key))
      .map((key) => required(`spec.scaleTargetRef.${key}`)),
  ]
}

function checkBinding(map: JsonMap): Problem[] {
  return [
    ...oneOf('roleRef.kind', at(map, 'roleRef', 'kind') ?? '', ['ClusterRole', 'Role']),
    ...(at(map, 'roleRef', 'name') ? [] : [required('roleRef.name')]),
    ...listAt(map, 'subjects').flatMap((subject, i) => [
      ...(subject.name ? [] : [required(`subjects[${i}].name`)]),
      ...(map.kind === 'ClusterRoleBinding' && subject.kind === 'ServiceAccount' && !subject.namespace
        ? [required(`subjects[${i}].namespace`)]
        : []),
      ...oneOf(`subjects[${i}].kind`, subject.kind ?? '', ['Group', 'ServiceAccount', 'User']),
    ]),
  ]
}

function checkRules(map: JsonMap): Problem[] {
  return listAt(map, 'rules').flatMap((rule, i) => {
    const lacks = (key: string): boolean => !Array.isArray(rule[key]) || rule[key].length === 0
    if (lacks('verbs')) return [required(`rules[${i}].verbs`, 'verbs must contain at least one value')]
    if (!lacks('nonResourceURLs')) return []
    if (lacks('apiGroups'))
      return [required(`rules[${i}].apiGroups`, 'resource rules must supply at least one api group')]
    return lacks('resources')
      ? [required(`rules[${i}].resources`, 'resource rules must supply at least one resource')]
      : []
  })
}

function checkIngress(map: JsonMap): Problem[] {
  const spec = mapAt(map, 'spec')
  const empty = listAt(spec, 'rules').length === 0 && !spec.defaultBackend
  return [
    ...(empty ? [invalid('spec', spec, 'either `defaultBackend` or `rules` must be specified')] : []),
    ...listAt(spec, 'rules').flatMap((rule, i) =>
      listAt(rule, 'http', 'paths').flatMap((path, j) =>
        path.pathType
          ? []
          : [required(`spec.rules[${i}].http.paths[${j}].pathType`, 'pathType must be specified')],
      ),
    ),
  ]
}

/** Of a pod's spec only images, the deadline and tolerations may change. */
function checkPodUpdate(object: KubeObject, before: KubeObject): Problem[] {
  if (Bun.deepEquals(frozen(object), frozen(before))) return []
  const allowed = [
    '`spec.containers[*].image`',
    '`spec.initContainers[*].image`',
    '`spec.activeDeadlineSeconds`',
    '`spec.tolerations` (only additions to existing tolerations)',
    '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
  ]
  return [forbiddenField('spec', `pod updates may not change fields other than ${allowed.join(',')}`)]
}

function frozen(pod: KubeObject): JsonMap {
  const spec = structuredClone(mapAt(pod, 'spec'))
  for (const key of ['activeDeadlineSeconds', 'tolerations', 'nodeName']) delete spec[key]
  for (const container of [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')])
    delete container.image
  return spec
}
