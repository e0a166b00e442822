/** HorizontalPodAutoscalers are stored as autoscaling/v2; autoscaling/v1 is a view of them. */
import { type JsonMap, at, isMap, listAt, mapAt, numberAt, stringAt } from './json.ts'

function isCpuUtilization(metric: JsonMap): boolean {
  return metric.type === 'Resource' && at(metric, 'resource', 'name') === 'cpu'
}

/** From what a client sent to what is stored. */
export function fromVersion(version: string, map: JsonMap): JsonMap {
  if (map.kind !== 'HorizontalPodAutoscaler' || version !== 'v1') return map
  const { targetCPUUtilizationPercentage: percentage, ...spec } = mapAt(map, 'spec')
  const target = { type: 'Utilization', averageUtilization: percentage ?? 0 }
  const metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }]
  const { currentCPUUtilizationPercentage: _current, ...status } = mapAt(map, 'status')
  return {
    ...map,
    apiVersion: 'autoscaling/v2',
    ...(isMap(map.spec) && { spec: percentage === undefined ? spec : { ...spec, metrics } }),
    ...(isMap(map.status) && { status }),
  }
}

/** From what is stored to what a client asked for. */
export function toVersion(version: string, map: JsonMap): JsonMap {
  if (map.kind !== 'HorizontalPodAutoscaler' || version !== 'v1') return map
  const { metrics: _metrics, behavior: _behavior, ...spec } = mapAt(map, 'spec')
  const cpu = listAt(map, 'spec', 'metrics').find(isCpuUtilization)
  const percentage = numberAt(cpu, 'resource', 'target', 'averageUtilization')
  const { conditions: _conditions, currentMetrics: _currentMetrics, ...status } = mapAt(map, 'status')
  return {
    ...map,
    apiVersion: 'autoscaling/v1',
    spec: percentage ? { ...spec, targetCPUUtilizationPercentage: percentage } : spec,
    status: { currentReplicas: 0, desiredReplicas: 0, ...status },
  }
}

/** `cpu: <unknown>/80%`, as kubectl lists the targets. */
export function describeTargets(map: JsonMap): string {
  const targets = listAt(map, 'spec', 'metrics').map((metric) => {
    const name = stringAt(metric, 'resource', 'name')
    return `${name || stringAt(metric, 'type')}: <unknown>/${numberAt(metric, 'resource', 'target', 'averageUtilization')}%`
  })
  return targets.join(', ') || '<none>'
}
