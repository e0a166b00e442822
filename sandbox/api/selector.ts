/** Label and field selectors: parsing what comes in a URL, and matching. */
import type { KubeObject } from '../store.ts'
import { badRequest } from '../status.ts'
import { at, isMap, type JsonMap, listAt, mapAt, stringAt, text } from './json.ts'

export type Matcher = (object: KubeObject) => boolean

type Labels = Record<string, string> | JsonMap

const SET_BASED = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/
const EQUALITY = /^([^=!\s]+)\s*(==|=|!=)\s*(.*)$/

/** `app=web,tier in (a, b),!legacy`. @throws ApiError 400 */
export function labelMatcher(selector: string): Matcher {
  const tests = split(selector).map(labelTest)
  return ({ metadata }) => tests.every((test) => test(metadata.labels ?? {}))
}

/** At the commas that are not inside parentheses. */
function split(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter(Boolean)
}

function labelTest(part: string): (labels: Labels) => boolean {
  const [, setKey = '', operator, list] = SET_BASED.exec(part) ?? []
  if (list !== undefined) {
    const values = list.split(',').map((value) => value.trim())
    const isIn = (labels: Labels): boolean =>
      labels[setKey] !== undefined && values.includes(text(labels[setKey]))
    return operator === 'in' ? isIn : (labels) => !isIn(labels)
  }
  const [, key = '', sign, value = ''] = EQUALITY.exec(part) ?? []
  if (sign === '!=') return (labels) => labels[key] !== value
  if (sign) return (labels) => labels[key] === value
  if (part.includes('(')) throw badRequest("unable to parse requirement: found '', expected: ',' or ')'")
  const name = part.replace(/^!\s*/, '')
  if (!/^[\w./-]+$/.test(name)) {
    throw badRequest(`unable to parse requirement: found '${name}', expected: identifier`)
  }
  return part.startsWith('!')
    ? (labels) => labels[name] === undefined
    : (labels) => labels[name] !== undefined
}

/** Fields that kubectl and client-go select by, beside name and namespace. */
const SELECTABLE: Record<string, string[]> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'status.phase',
    'status.podIP',
  ],
  events: [
    ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
      (key) => `involvedObject.${key}`,
    ),
    'reason',
    'type',
    'source',
    'reportingComponent',
  ],
  secrets: ['type'],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
  replicasets: ['status.replicas'],
  jobs: ['status.successful'],
  services: ['spec.clusterIP', 'spec.type'],
}

/** `metadata.name=web,status.phase!=Running`. @throws ApiError 400 for a field that cannot be selected by */
export function fieldMatcher(resource: string, selector: string): Matcher {
  const tests = split(selector).map((part) => {
    const [, field = '', sign, value = ''] = EQUALITY.exec(part) ?? []
    if (!sign) throw badRequest(`invalid selector: '${part}'; can't understand '${part}'`)
    const isKnown = /^metadata\.(name|namespace)$/.test(field) || SELECTABLE[resource]?.includes(field)
    if (!isKnown) throw badRequest(`field label not supported: ${field}`)
    const path = field === 'source' ? ['source', 'component'] : field.split('.')
    return (object: KubeObject) => (text(at(object, ...path)) === value) === (sign !== '!=')
  })
  return (object) => tests.every((test) => test(object))
}

/** A `LabelSelector` as it stands in an object's spec. An empty one matches everything. */
export function matchesSelector(selector: JsonMap, labels: JsonMap): boolean {
  const equal = Object.entries(mapAt(selector, 'matchLabels')).every(([key, value]) => labels[key] === value)
  return (
    equal && listAt(selector, 'matchExpressions').every((expression) => matchesExpression(expression, labels))
  )
}

function matchesExpression(expression: JsonMap, labels: JsonMap): boolean {
  const value = labels[stringAt(expression, 'key')]
  const values = Array.isArray(expression.values) ? expression.values : []
  const operator = stringAt(expression, 'operator')
  if (operator === 'Exists') return value !== undefined
  if (operator === 'DoesNotExist') return value === undefined
  const isIn = value !== undefined && values.includes(value)
  return operator === 'In' ? isIn : !isIn
}

/** The selector of a scale's target, as text. */
export function formatSelector(selector: unknown): string {
  if (!isMap(selector)) return ''
  const equal = Object.entries(mapAt(selector, 'matchLabels')).map(([key, value]) => `${key}=${text(value)}`)
  const sets = listAt(selector, 'matchExpressions').map(formatExpression)
  return [...equal, ...sets].join(',')
}

function formatExpression(expression: JsonMap): string {
  const key = stringAt(expression, 'key')
  const operator = stringAt(expression, 'operator')
  if (operator === 'Exists') return key
  if (operator === 'DoesNotExist') return `!${key}`
  const values = Array.isArray(expression.values) ? expression.values : []
  return `${key} ${operator.toLowerCase()} (${values.map(String).join(',')})`
}
