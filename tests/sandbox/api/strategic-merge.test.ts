import { describe, expect, test } from 'bun:test'
import type { JsonMap } from '../../../sandbox/api/json.ts'
import { strategicMerge } from '../../../sandbox/api/strategic-merge.ts'

const shape = { is: 'struct', name: 'PodSpec' } as const
const metadata = { is: 'struct', name: 'ObjectMeta' } as const
const service = { is: 'struct', name: 'ServiceSpec' } as const

const app = { name: 'app', image: 'app:1' }
const side = { name: 'side', image: 'side:1' }
const log = { name: 'log', image: 'log:1' }

const cases: [string, { is: 'struct'; name: string }, JsonMap, JsonMap, JsonMap][] = [
  [
    'a map is merged key by key',
    metadata,
    { labels: { a: '1', b: '1' } },
    { labels: { b: '2', c: '3' } },
    { labels: { a: '1', b: '2', c: '3' } },
  ],
  [
    'null removes a key',
    metadata,
    { labels: { a: '1', b: '1' } },
    { labels: { a: null } },
    { labels: { b: '1' } },
  ],
  [
    '$patch: replace replaces a map',
    metadata,
    { labels: { a: '1' } },
    { labels: { $patch: 'replace', b: '2' } },
    { labels: { b: '2' } },
  ],
  [
    '$patch: delete removes a map',
    metadata,
    { name: 'x', labels: { a: '1' } },
    { labels: { $patch: 'delete' } },
    { name: 'x' },
  ],
  [
    'a list item is found by its key',
    shape,
    { containers: [app, side] },
    { containers: [{ name: 'side', image: 'side:2' }] },
    { containers: [app, { name: 'side', image: 'side:2' }] },
  ],
  [
    'a new item comes before those that the patch does not name',
    shape,
    { containers: [app] },
    { containers: [side] },
    { containers: [side, app] },
  ],
  [
    '$patch: delete removes an item',
    shape,
    { containers: [app, side] },
    { containers: [{ name: 'app', $patch: 'delete' }] },
    { containers: [side] },
  ],
  [
    '$patch: replace replaces a list',
    shape,
    { containers: [app, side] },
    { containers: [log, { $patch: 'replace' }] },
    { containers: [log] },
  ],
  [
    '$setElementOrder puts items in order',
    shape,
    { containers: [app, side] },
    { '$setElementOrder/containers': [{ name: 'side' }, { name: 'app' }], containers: [] },
    { containers: [side, app] },
  ],
  [
    '$setElementOrder leaves unnamed items behind their predecessor',
    shape,
    { containers: [app, log, side] },
    { '$setElementOrder/containers': [{ name: 'app' }, { name: 'side' }] },
    { containers: [app, log, side] },
  ],
  [
    'a list without keys is replaced',
    shape,
    { tolerations: [{ key: 'a' }] },
    { tolerations: [{ key: 'b' }] },
    { tolerations: [{ key: 'b' }] },
  ],
  [
    'nested lists are merged by their own keys',
    shape,
    {
      containers: [
        {
          ...app,
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '1' },
          ],
        },
      ],
    },
    { containers: [{ name: 'app', env: [{ name: 'B', value: '2' }] }] },
    {
      containers: [
        {
          ...app,
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '2' },
          ],
        },
      ],
    },
  ],
  [
    '$retainKeys drops the other volume sources',
    shape,
    { volumes: [{ name: 'v', emptyDir: {} }] },
    { volumes: [{ name: 'v', $retainKeys: ['name', 'configMap'], configMap: { name: 'c' } }] },
    { volumes: [{ name: 'v', configMap: { name: 'c' } }] },
  ],
  [
    'a set is united',
    metadata,
    { finalizers: ['a'] },
    { finalizers: ['a', 'b'] },
    { finalizers: ['a', 'b'] },
  ],
  [
    '$deleteFromPrimitiveList takes from a set',
    metadata,
    { finalizers: ['a', 'b'] },
    { '$deleteFromPrimitiveList/finalizers': ['a'] },
    { finalizers: ['b'] },
  ],
  [
    'ports are merged by port; the protocol tells two apart',
    service,
    {
      ports: [
        { port: 53, protocol: 'TCP' },
        { port: 53, protocol: 'UDP' },
      ],
    },
    { ports: [{ port: 53, protocol: 'UDP', name: 'dns' }] },
    {
      ports: [
        { port: 53, protocol: 'TCP' },
        { port: 53, protocol: 'UDP', name: 'dns' },
      ],
    },
  ],
  [
    'a selector is merged: one color is switched by hand',
    service,
    { selector: { app: 'web', color: 'blue' } },
    { selector: { color: 'green' } },
    { selector: { app: 'web', color: 'green' } },
  ],
]

describe('strategic merge patch', () => {
  test.each(cases)('%s', (_what, of, before, patch, after) => {
    expect(strategicMerge(of, before, patch)).toEqual(after)
  })

  test('the original is not changed', () => {
    const before = { containers: [{ ...app }] }
    strategicMerge(shape, before, { containers: [{ name: 'app', image: 'app:2' }] })
    expect(before).toEqual({ containers: [app] })
  })

  test('an item without its key is refused, in the words of a real server', () => {
    const patch = { containers: [{ image: 'x' }] }
    expect(() => strategicMerge(shape, {}, patch)).toThrow(
      'map: map[image:x] does not contain declared merge key: name',
    )
  })
})
