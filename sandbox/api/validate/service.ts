/** Services: what is refused, and with which words. */
import type { KubeObject, Store } from '../../store.ts'
import { type JsonMap, listAt, mapAt, numberAt, stringAt, toMap } from '../json.ts'
import { NODE_PORTS, takenNodePorts } from '../service.ts'
import { DNS_LABEL, checkLabels, checkName } from './names.ts'
import { checkPortNumber, oneOf } from './pod.ts'
import { type Problem, duplicates, forbiddenField, invalid, required } from './problems.ts'

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']

export function checkService(map: JsonMap): Problem[] {
  const spec = mapAt(map, 'spec')
  const ports = listAt(spec, 'ports')
  const isExternal = spec.type === 'ExternalName'
  return [
    ...(ports.length === 0 && !isExternal && spec.clusterIP !== 'None' ? [required('spec.ports')] : []),
    ...(isExternal && !spec.externalName ? [required('spec.externalName')] : []),
    ...ports.flatMap((port, i) => checkPort(`spec.ports[${i}]`, port, ports.length > 1)),
    ...duplicates(
      ports.map(({ port, protocol }, i) => ({ field: `spec.ports[${i}]`, value: { port, protocol } })),
    ),
    ...duplicates(
      ports.flatMap(({ name }, i) => (name ? [{ field: `spec.ports[${i}].name`, value: name }] : [])),
    ),
    ...oneOf('spec.type', spec.type, TYPES),
    ...oneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']),
    ...checkLabels('spec.selector', mapAt(spec, 'selector')),
    ...(spec.type === 'ClusterIP' ? noNodePorts(ports) : []),
  ]
}

function checkPort(field: string, port: JsonMap, needsName: boolean): Problem[] {
  const name = stringAt(port, 'name')
  return [
    ...(needsName && !name ? [required(`${field}.name`)] : []),
    ...(name ? checkName(`${field}.name`, name, DNS_LABEL) : []),
    ...checkPortNumber(`${field}.port`, port.port ?? 0),
    ...oneOf(`${field}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']),
    ...checkPortNumber(`${field}.targetPort`, port.targetPort ?? 0),
  ]
}

function noNodePorts(ports: JsonMap[]): Problem[] {
  return ports.flatMap(({ nodePort }, i) =>
    nodePort
      ? [forbiddenField(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'")]
      : [],
  )
}

/** Against what is stored: addresses once given stay, and a node port belongs to one Service. */
export function checkAllocations(store: Store, object: KubeObject, before?: KubeObject): Problem[] {
  const spec = mapAt(object, 'spec')
  const given = stringAt(mapAt(before, 'spec'), 'clusterIP')
  const moved = given !== '' && spec.type !== 'ExternalName' && spec.clusterIP !== given
  const taken = takenNodePorts(store, object)
  return [
    ...(moved ? [invalid('spec.clusterIPs[0]', [spec.clusterIP], 'may not change once set')] : []),
    ...listAt(toMap(object), 'spec', 'ports').flatMap((port, i) =>
      checkNodePort(`spec.ports[${i}].nodePort`, numberAt(port, 'nodePort'), taken),
    ),
  ]
}

function checkNodePort(field: string, port: number, taken: Set<number>): Problem[] {
  const { from, to } = NODE_PORTS
  if (port === 0) return []
  if (port < from || port > to) {
    const why = `provided port is not in the valid range. The range of valid ports is ${from}-${to}`
    return [invalid(field, port, why)]
  }
  return taken.has(port) ? [invalid(field, port, 'provided port is already allocated')] : []
}
