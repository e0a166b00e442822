/** Names, labels and annotations: the rules of k8s.io/apimachinery/pkg/util/validation, with its sentences. */
import { type JsonMap, isMap, mapAt, stringAt, text } from '../json.ts'
import { type Problem, invalid, required } from './problems.ts'

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`
const SERVICE_LABEL = '[a-z]([-a-z0-9]*[a-z0-9])?'
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const VALUE = `(${QUALIFIED})?`

interface Rule {
  pattern: RegExp
  max: number
  sentence: string
}

function makeRule(pattern: string, max: number, what: string, example: string): Rule {
  return {
    pattern: new RegExp(`^(${pattern})$`),
    max,
    sentence: `${what} (${example}, regex used for validation is '${pattern}')`,
  }
}

export const DNS_LABEL = makeRule(
  LABEL,
  63,
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  "e.g. 'my-name',  or '123-abc'",
)

const DNS_SUBDOMAIN = makeRule(
  SUBDOMAIN,
  253,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  "e.g. 'example.com'",
)

export const SERVICE_NAME = makeRule(
  SERVICE_LABEL,
  63,
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  "e.g. 'my-name',  or 'abc-123'",
)

const NAME_PART = makeRule(
  QUALIFIED,
  63,
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  "e.g. 'MyName',  or 'my.name',  or '123-abc'",
)

const QUALIFIED_NAME = `${NAME_PART.sentence.replace('name part', 'a qualified name')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`

const LABEL_VALUE = makeRule(
  VALUE,
  63,
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  "e.g. 'MyValue',  or 'my_value',  or '12345'",
)

export function checkName(field: string, name: string, { pattern, max, sentence }: Rule): Problem[] {
  return [
    ...(name.length > max ? [invalid(field, name, `must be no more than ${max} characters`)] : []),
    ...(pattern.test(name) ? [] : [invalid(field, name, sentence)]),
  ]
}

function checkKey(field: string, key: string): Problem[] {
  const [prefix, name] = key.includes('/')
    ? [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)]
    : ['', key]
  if (name === '') return [invalid(field, key, 'name part must be non-empty')]
  if (name.includes('/')) return [invalid(field, key, QUALIFIED_NAME)]
  return [
    ...(prefix && !DNS_SUBDOMAIN.pattern.test(prefix)
      ? [invalid(field, key, `prefix part ${DNS_SUBDOMAIN.sentence}`)]
      : []),
    ...checkName(field, name, NAME_PART).map((problem) => ({
      ...problem,
      message: problem.message.replace(JSON.stringify(name), JSON.stringify(key)),
    })),
  ]
}

export function checkLabels(field: string, labels: JsonMap): Problem[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...checkKey(field, key),
    ...checkName(field, text(value), LABEL_VALUE),
  ])
}

export function checkSelector(field: string, selector: JsonMap): Problem[] {
  const expressions = Array.isArray(selector.matchExpressions) ? selector.matchExpressions.filter(isMap) : []
  return [
    ...checkLabels(`${field}.matchLabels`, mapAt(selector, 'matchLabels')),
    ...expressions.flatMap((expression, i) => checkExpression(`${field}.matchExpressions[${i}]`, expression)),
  ]
}

function checkExpression(field: string, expression: JsonMap): Problem[] {
  const operator = stringAt(expression, 'operator')
  const values = Array.isArray(expression.values) ? expression.values : []
  const takesValues = operator === 'In' || operator === 'NotIn'
  if (takesValues && values.length === 0) {
    return [required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'")]
  }
  if (takesValues || operator === 'Exists' || operator === 'DoesNotExist') return []
  return [invalid(`${field}.operator`, operator, 'not a valid selector operator')]
}

const LABEL_NAMED = new Set(['namespaces'])
const FREELY_NAMED = new Set(['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'])

export function checkMetadata(resource: string, map: JsonMap): Problem[] {
  const metadata = mapAt(map, 'metadata')
  return [
    ...checkObjectName(resource, stringAt(metadata, 'name')),
    ...checkLabels('metadata.labels', mapAt(metadata, 'labels')),
    ...Object.keys(mapAt(metadata, 'annotations')).flatMap((key) =>
      checkKey('metadata.annotations', key.toLowerCase()),
    ),
  ]
}

function checkObjectName(resource: string, name: string): Problem[] {
  if (name === '') return [required('metadata.name', 'name or generateName is required')]
  if (!FREELY_NAMED.has(resource)) {
    const rule =
      resource === 'services' ? SERVICE_NAME : LABEL_NAMED.has(resource) ? DNS_LABEL : DNS_SUBDOMAIN
    return checkName('metadata.name', name, rule)
  }
  return /^\.\.?$|[/%]/.test(name) ? [invalid('metadata.name', name, "may not contain '/'")] : []
}
