/** Pods and pod templates. */
import { type Json, type JsonMap, at, isMap, listAt, mapAt, numberAt, stringAt, text } from '../json.ts'
import { parseQuantity } from '../quantity.ts'
import { DNS_LABEL, checkLabels, checkName } from './names.ts'
import { type Problem, duplicates, invalid, required, unsupported } from './problems.ts'

export function checkPodTemplate(field: string, template: JsonMap, restartPolicies?: string[]): Problem[] {
  const policy = at(template, 'spec', 'restartPolicy')
  const wrongPolicy = restartPolicies && !restartPolicies.includes(text(policy))
  return [
    ...checkLabels(`${field}.labels`, mapAt(template, 'metadata', 'labels')),
    ...checkPodSpec(`${field}.spec`, mapAt(template, 'spec')),
    ...(wrongPolicy ? [unsupported(`${field}.spec.restartPolicy`, policy, restartPolicies)] : []),
  ]
}

export function checkPodSpec(field: string, spec: JsonMap): Problem[] {
  const volumes = listAt(spec, 'volumes').map((volume) => stringAt(volume, 'name'))
  const containers = listAt(spec, 'containers')
  const init = listAt(spec, 'initContainers')
  const named = [
    ...containers.map((container, i) => ({ field: `${field}.containers[${i}].name`, value: container.name })),
    ...init.map((container, i) => ({ field: `${field}.initContainers[${i}].name`, value: container.name })),
  ]
  const grace = numberAt(spec, 'terminationGracePeriodSeconds')
  return [
    ...listAt(spec, 'volumes').flatMap((volume, i) => checkVolume(`${field}.volumes[${i}]`, volume)),
    ...duplicates(volumes.map((value, i) => ({ field: `${field}.volumes[${i}].name`, value }))),
    ...(containers.length === 0 ? [required(`${field}.containers`)] : []),
    ...containers.flatMap((container, i) => checkContainer(`${field}.containers[${i}]`, container, volumes)),
    ...init.flatMap((container, i) => checkContainer(`${field}.initContainers[${i}]`, container, volumes)),
    ...duplicates(named),
    ...oneOf(`${field}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']),
    ...oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, [
      'ClusterFirst',
      'ClusterFirstWithHostNet',
      'Default',
      'None',
    ]),
    ...(grace < 0 ? [atLeastZero(`${field}.terminationGracePeriodSeconds`, grace)] : []),
    ...checkLabels(`${field}.nodeSelector`, mapAt(spec, 'nodeSelector')),
  ]
}

export function oneOf(field: string, value: Json | undefined, supported: string[]): Problem[] {
  return value === undefined || supported.includes(text(value)) ? [] : [unsupported(field, value, supported)]
}

export function atLeastZero(field: string, value: number): Problem {
  return invalid(field, value, 'must be greater than or equal to 0')
}

function checkVolume(field: string, volume: JsonMap): Problem[] {
  const name = stringAt(volume, 'name')
  const sources = Object.keys(volume).filter((key) => key !== 'name')
  return [
    ...(name ? checkName(`${field}.name`, name, DNS_LABEL) : [required(`${field}.name`)]),
    ...(sources.length === 0 ? [required(field, 'must specify a volume type')] : []),
  ]
}

function checkContainer(field: string, container: JsonMap, volumes: string[]): Problem[] {
  const name = stringAt(container, 'name')
  const image = stringAt(container, 'image')
  return [
    ...(name ? checkName(`${field}.name`, name, DNS_LABEL) : [required(`${field}.name`)]),
    ...(image ? [] : [required(`${field}.image`)]),
    ...(image.trim() === image
      ? []
      : [invalid(`${field}.image`, image, 'must not have leading or trailing whitespace')]),
    ...oneOf(`${field}.imagePullPolicy`, container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...checkPorts(`${field}.ports`, listAt(container, 'ports')),
    ...listAt(container, 'env').flatMap((env, i) => checkEnv(`${field}.env[${i}]`, env)),
    ...checkMounts(`${field}.volumeMounts`, listAt(container, 'volumeMounts'), volumes),
    ...['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((probe) =>
      checkProbe(`${field}.${probe}`, container[probe], probe === 'readinessProbe'),
    ),
    ...checkHandler(`${field}.lifecycle.preStop`, at(container, 'lifecycle', 'preStop')),
    ...checkHandler(`${field}.lifecycle.postStart`, at(container, 'lifecycle', 'postStart')),
    ...checkResources(`${field}.resources`, mapAt(container, 'resources')),
  ]
}

function checkPorts(field: string, ports: JsonMap[]): Problem[] {
  const names = ports.flatMap(({ name }, i) => (name ? [{ field: `${field}[${i}].name`, value: name }] : []))
  return [
    ...ports.flatMap((port, i) => [
      ...(port.containerPort === undefined || port.containerPort === 0
        ? [required(`${field}[${i}].containerPort`)]
        : checkPortNumber(`${field}[${i}].containerPort`, port.containerPort)),
      ...oneOf(`${field}[${i}].protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']),
    ]),
    ...duplicates(names),
  ]
}

/** A number from 1 to 65535, or a port's name. */
export function checkPortNumber(field: string, port: unknown): Problem[] {
  if (typeof port === 'string') {
    const isName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(port) && /[a-z]/.test(port) && port.length <= 15
    if (isName) return []
    return [
      invalid(
        field,
        port,
        "must contain at least one letter (a-z), only a-z, 0-9 and '-', and at most 15 characters",
      ),
    ]
  }
  const isPort = typeof port === 'number' && port >= 1 && port <= 65535
  return isPort ? [] : [invalid(field, port, 'must be between 1 and 65535, inclusive')]
}

function checkEnv(field: string, env: JsonMap): Problem[] {
  const name = stringAt(env, 'name')
  if (!name) return [required(`${field}.name`)]
  return [
    ...(/[=\0]/.test(name)
      ? [invalid(`${field}.name`, name, "a valid environment variable name must not contain '='")]
      : []),
    ...(env.value && env.valueFrom
      ? [invalid(`${field}.valueFrom`, '', 'may not be specified when `value` is not empty')]
      : []),
  ]
}

function checkMounts(field: string, mounts: JsonMap[], volumes: string[]): Problem[] {
  const paths = mounts.map((mount, i) => ({ field: `${field}[${i}].mountPath`, value: mount.mountPath }))
  return [
    ...mounts.flatMap((mount, i) => {
      const name = stringAt(mount, 'name')
      if (!name) return [required(`${field}[${i}].name`)]
      if (!mount.mountPath) return [required(`${field}[${i}].mountPath`)]
      if (volumes.includes(name)) return []
      return [{ ...invalid(`${field}[${i}].name`, name, ''), message: `Not found: ${JSON.stringify(name)}` }]
    }),
    ...duplicates(paths).map(({ field: where, ...rest }) => ({
      ...rest,
      field: where,
      reason: 'FieldValueInvalid' as const,
      message: rest.message.replace('Duplicate value', 'Invalid value') + ': must be unique',
    })),
  ]
}

function checkProbe(field: string, probe: unknown, mayRepeatSuccess: boolean): Problem[] {
  if (!isMap(probe)) return []
  const negative = [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]
    .map((key) => [key, numberAt(probe, key)] as const)
    .filter(([, value]) => value < 0)
  const repeats = !mayRepeatSuccess && numberAt(probe, 'successThreshold') !== 1
  return [
    ...checkHandler(field, probe),
    ...negative.map(([key, value]) => atLeastZero(`${field}.${key}`, value)),
    ...(repeats ? [invalid(`${field}.successThreshold`, probe.successThreshold, 'must be 1')] : []),
  ]
}

function checkHandler(field: string, handler: unknown): Problem[] {
  if (!isMap(handler)) return []
  const kinds = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'].filter((key) => handler[key] !== undefined)
  if (kinds.length === 0) return [required(field, 'must specify a handler type')]
  const [first, ...more] = kinds
  const tooMany = more.map((key) => ({
    ...invalid(`${field}.${key}`, '', ''),
    reason: 'FieldValueForbidden' as const,
    message: 'Forbidden: may not specify more than 1 handler type',
  }))
  if (first === 'exec' && !Array.isArray(at(handler, 'exec', 'command'))) {
    return [required(`${field}.exec.command`), ...tooMany]
  }
  const hasPort = first === 'httpGet' || first === 'tcpSocket'
  return [
    ...(hasPort ? checkPortNumber(`${field}.${first}.port`, at(handler, first, 'port') ?? 0) : []),
    ...tooMany,
  ]
}

function checkResources(field: string, resources: JsonMap): Problem[] {
  const limits = mapAt(resources, 'limits')
  return Object.entries(mapAt(resources, 'requests')).flatMap(([name, value]) => {
    const limit = limits[name]
    if (limit === undefined || parseQuantity(value) <= parseQuantity(limit)) return []
    return [
      invalid(`${field}.requests`, value, `must be less than or equal to ${name} limit of ${text(limit)}`),
    ]
  })
}
