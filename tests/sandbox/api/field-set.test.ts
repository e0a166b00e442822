import { describe, expect, test } from 'bun:test'
import { compare, display, fromFields, leaves, toFields } from '../../../sandbox/api/field-set.ts'
import type { JsonMap } from '../../../sandbox/api/json.ts'

const pod = { is: 'struct', name: 'Pod' } as const
const port = { containerPort: 80, protocol: 'TCP' }
const PORT = 'k:{"containerPort":80,"protocol":"TCP"}'
const APP = 'k:{"name":"app"}'

describe('what a configuration names', () => {
  const cases: [string, JsonMap, JsonMap][] = [
    [
      'scalars and map entries',
      { metadata: { labels: { a: '1' } } },
      { 'f:metadata': { 'f:labels': { 'f:a': {} } } },
    ],
    [
      'list items, with their key fields',
      { spec: { containers: [{ name: 'app' }] } },
      { 'f:spec': { 'f:containers': { [APP]: { '.': {}, 'f:name': {} } } } },
    ],
    [
      'a key that was left out has its default',
      { spec: { containers: [{ name: 'app', ports: [{ containerPort: 80 }] }] } },
      {
        'f:spec': {
          'f:containers': {
            [APP]: { '.': {}, 'f:name': {}, 'f:ports': { [PORT]: { '.': {}, 'f:containerPort': {} } } },
          },
        },
      },
    ],
    [
      'an atomic list as a whole',
      { spec: { tolerations: [{ key: 'a' }] } },
      { 'f:spec': { 'f:tolerations': {} } },
    ],
    [
      'an atomic map as a whole',
      { spec: { nodeSelector: { a: 'b' } } },
      { 'f:spec': { 'f:nodeSelector': {} } },
    ],
    [
      'members of a set',
      { metadata: { finalizers: ['x'] } },
      { 'f:metadata': { 'f:finalizers': { 'v:"x"': {} } } },
    ],
    [
      'an empty struct',
      { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
      { 'f:spec': { 'f:volumes': { 'k:{"name":"v"}': { '.': {}, 'f:name': {}, 'f:emptyDir': {} } } } },
    ],
  ]
  test.each(cases)('%s', (_what, value, fields) => {
    const set = leaves(pod, value)
    expect(toFields(set)).toEqual(fields)
    expect(fromFields(fields)).toEqual(set)
  })
})

const shown = (set: Set<string>) =>
  [...set].filter((path) => display(path) !== '.spec.containers').map(display)

describe('how two objects differ', () => {
  const before = { spec: { nodeName: 'a', containers: [{ name: 'app', image: '1', ports: [port] }] } }
  const cases: [string, JsonMap, string[], string[]][] = [
    ['not at all', before, [], []],
    ['by a value', { spec: { nodeName: 'b', containers: before.spec.containers } }, ['.spec.nodeName'], []],
    ['by a field that is gone', { spec: { containers: before.spec.containers } }, [], ['.spec.nodeName']],
    [
      'by a list item and all in it',
      { spec: { nodeName: 'a', containers: [] } },
      [],
      [
        '.spec.containers[name="app"]',
        '.spec.containers[name="app"].name',
        '.spec.containers[name="app"].image',
        '.spec.containers[name="app"].ports',
        '.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"].containerPort',
        '.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"].protocol',
      ],
    ],
    [
      'by a field inside an item',
      { spec: { nodeName: 'a', containers: [{ name: 'app', image: '2', ports: [port] }] } },
      ['.spec.containers[name="app"].image'],
      [],
    ],
  ]
  test.each(cases)('%s', (_what, after, changed, removed) => {
    const found = compare(pod, before, after)
    expect({ changed: shown(found.changed), removed: shown(found.removed) }).toEqual({ changed, removed })
  })
})
