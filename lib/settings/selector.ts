/**
 * Selectors of PromQL, `orders_total{status=~"5..",route!="/health"}`: what an indicator is made of. They are parsed when
 * the settings are read, and applied to what a pod says of itself where there is no Prometheus to do it. Less than
 * Prometheus takes is understood, and nothing that it would refuse.
 * https://prometheus.io/docs/prometheus/latest/querying/basics/
 */

/** Whether labels are selected; the metric is the label `__name__`, and one that is not there is the empty one. */
export type Selector = (labels: Readonly<Record<string, string>>) => boolean

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*'
const QUOTED = String.raw`"(?:[^"\\\n]|\\[\\"nrt])*"|'(?:[^'\\\n]|\\[\\'nrt])*'`
/** Words of PromQL that cannot be a metric's name. */
const RESERVED = /^(inf|nan|bool|on|ignoring|group_left|group_right|atan2)$/i

const SELECTOR = new RegExp(String.raw`^\s*(${NAME})?\s*(?:\{([\s\S]*)\})?\s*$`)
const MATCHER = new RegExp(String.raw`\s*(${LABEL})\s*(=~|!~|!=|=)\s*(${QUOTED})\s*(?:,|$)`, 'y')

/** Undefined for whatever is none. */
export function parseSelector(text: string): Selector | undefined {
  const [whole, name, inside = ''] = SELECTOR.exec(text) ?? []
  if (whole === undefined || RESERVED.test(name ?? '')) return undefined
  const matchers: Selector[] = name === undefined ? [] : [({ __name__ }) => __name__ === name]
  let at = 0
  while (inside.slice(at).trim() !== '') {
    MATCHER.lastIndex = at
    const [part, label = '', operator = '', quoted = ''] = MATCHER.exec(inside) ?? []
    const matcher = part === undefined ? undefined : matcherOf(label, operator, unquoted(quoted))
    if (part === undefined || !matcher || (name !== undefined && label === '__name__')) return undefined
    matchers.push(matcher)
    at += part.length
  }
  // What selects everything is refused.
  if (matchers.every((matches) => matches({}))) return undefined
  return (labels) => matchers.every((matches) => matches(labels))
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' }

const unquoted = (quoted: string): string =>
  quoted.slice(1, -1).replace(/\\(.)/g, (_, one: string) => ESCAPES[one] ?? one)

function matcherOf(label: string, operator: string, value: string): Selector | undefined {
  const wanted = !operator.startsWith('!')
  if (!operator.endsWith('~')) return (labels) => ((labels[label] ?? '') === value) === wanted
  try {
    const [, flag = '', pattern = ''] = /^(\(\?i\))?(.*)$/s.exec(value) ?? []
    const expression = new RegExp(`^(?:${pattern})$`, flag === '' ? 's' : 'is')
    return (labels) => expression.test(labels[label] ?? '') === wanted
  } catch {
    return undefined
  }
}
