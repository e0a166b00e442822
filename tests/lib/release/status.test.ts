import { describe, expect, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import { newEntry, type DeploymentRecord } from '../../../lib/history/record.ts'
import { statusLines, statusOf, type Status } from '../../../lib/release/status.ts'
import { APP, deployment, live, made, service } from '../objects.ts'
import { rehearse, running, type Rehearsal } from '../world.ts'

const last = {
  id: '01',
  kind: 'deploy',
  from: { color: 'green', ...made('1.1.0') },
  to: { color: 'blue', ...made('1.0.0') },
  by: 'bob',
  at: '2026-11-23T07:00:00Z',
}

const withSwitch = (change: object, selector: object) => ({
  ...service(APP),
  metadata: {
    ...service(APP).metadata,
    annotations: { [key.switch]: JSON.stringify({ ...last, ...change }) },
  },
  spec: { selector },
})

async function status(
  given: (rehearsal: Rehearsal) => unknown,
  past: (rehearsal: Rehearsal) => DeploymentRecord[] = () => [],
  settings = {},
): Promise<{ data: Status; lines: string[] }> {
  await using rehearsal = rehearse(settings)
  running(rehearsal.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  given(rehearsal)
  const observed = await rehearsal.observed()
  const data = statusOf(rehearsal.world.environment, observed, past(rehearsal), rehearsal.clock.now())
  return { data, lines: statusLines(data, observed) }
}

const entries = ({ world }: Rehearsal) => [
  newEntry(world, { id: '02', kind: 'deploy', to: { color: 'green', ...made('1.2.0') } }),
  newEntry(world, { id: '01', kind: 'deploy', to: { color: 'blue', ...made('1.0.0') } }),
  newEntry(world, {
    id: '00',
    kind: 'deploy',
    to: { color: 'blue', ...made('0.9.0') },
    outcome: 'rolled-back',
  }),
]

describe('status', () => {
  test('as people read it', async () => {
    const { lines } = await status(({ cluster }) => cluster.put(withSwitch({}, live('blue'))))
    expect(lines).toEqual([
      'live      blue  1.0.0  2 of 2 pods ready  chat@sha256:aaaaaaaaaaaa, since 2026-11-23T07:00:00Z',
      'idle      green  1.1.0  2 of 2 pods ready  chat@sha256:bbbbbbbbbbbb',
      'lock      free',
      'drift     none',
      'rollback  is one patch, to 1.1.0 in green: 2 pods are ready',
    ])
  })

  test.each<[string, (rehearsal: Rehearsal) => unknown, object, RegExp[]]>([
    [
      'moved by hand',
      ({ cluster }) => cluster.put(withSwitch({}, live('green'))),
      { live: 'green' },
      [/^drift {5}traffic is on green, but .* went to blue/],
    ],
    [
      'no color',
      ({ cluster }) => cluster.put({ ...service(APP), spec: { selector: { app: APP, color: 'red' } } }),
      { live: undefined },
      [/^problem {3}Service chat selects/, /^rollback {2}is not possible: Service chat selects/],
    ],
    [
      'in an overlap',
      ({ cluster }) => {
        const both = withSwitch({ from: last.to, to: last.from, overlap: true }, {})
        cluster.objects.set(`Service/${APP}`, { ...both, spec: { selector: { app: APP } } } as never)
      },
      { live: 'blue' },
      [/^problem {3}both colors are selected: an overlap switch has not been finished$/],
    ],
    ...(['first', 'full'] as const).map(
      (gradual): [string, (rehearsal: Rehearsal) => unknown, object, RegExp[]] => [
        `in the ${gradual} step of a gradual switch`,
        ({ cluster }) => {
          const both = withSwitch({ from: last.to, to: last.from, overlap: true, gradual }, {})
          cluster.objects.set(`Service/${APP}`, { ...both, spec: { selector: { app: APP } } } as never)
          cluster.put(deployment('green', made('1.1.0'), 1))
        },
        { live: 'blue' },
        [
          new RegExp(
            `^problem {3}gradual: both colors are selected, ${gradual === 'first' ? 'first' : 'last'} step of two: ` +
              'pods ready 1 of green beside 2 of blue$',
          ),
          /^rollback {2}is one patch, to 1\.0\.0 in blue: 2 pods are ready$/,
        ],
      ],
    ),
    [
      'locked',
      ({ cluster }) =>
        cluster.put({
          apiVersion: 'v1',
          kind: 'Lease',
          metadata: { name: `${APP}-deploy`, labels: { app: APP } },
          spec: { holderIdentity: 'bob x', acquireTime: '2026-11-23T07:00:00.123456Z' },
        }),
      { lock: 'bob since 2026-11-23T07:00:00Z' },
      [/^lock {6}held by bob since/],
    ],
    [
      'an idle color that is down',
      ({ cluster }) => {
        cluster.put(withSwitch(last, live('blue')))
        cluster.put(deployment('green', made('1.1.0'), 0))
      },
      {
        workloads: [
          { color: 'blue', ready: 2, wanted: 2 },
          { color: 'green', ready: 0, wanted: 0 },
        ],
      },
      [
        /^idle .*\(0 of 2 pods ready\)$/,
        /^rollback {2}to 1\.1\.0 in green must start pods first: no pod of green is ready; 0 of 2 pods ready$/,
      ],
    ],
    [
      'an idle color with another release in it',
      ({ cluster }) => {
        cluster.put(withSwitch({}, live('blue')))
        cluster.put(deployment('green', made('1.2.0')))
      },
      {},
      [/^rollback {2}to 1\.1\.0 in green must start the release again from its record$/],
    ],
    [
      'a color that these scripts did not make',
      ({ cluster }) => delete cluster.object('Deployment', 'chat-blue').metadata.annotations,
      {},
      [/^live {6}blue {2}2 of 2 pods ready, not made by these scripts/],
    ],
  ])('%s', async (_, given, expected, lines) => {
    const found = await status(given)
    expect(found.data).toMatchObject(expected)
    for (const line of lines) expect(found.lines).toContainEqual(expect.stringMatching(line))
  })

  test('what was interrupted, and whether before its switch or after it', async () => {
    const { data } = await status(({ cluster }) => cluster.put(withSwitch({}, live('blue'))), entries)
    expect(data.unfinished).toEqual([
      'the deploy of 1.2.0 to green by alice@laptop (2026-11-23T08:00:00.000Z, 02) stopped before its switch',
      'the deploy of 1.0.0 to blue by alice@laptop (2026-11-23T08:00:00.000Z, 01) stopped after its switch',
    ])
  })

  test('what was interrupted while both colors are selected is neither before its switch nor after it', async () => {
    const { data } = await status(
      ({ cluster }) => cluster.put(withSwitch({ overlap: true }, { app: APP })),
      (rehearsal) => entries(rehearsal).slice(1, 2),
    )
    expect(data.unfinished).toEqual([
      expect.stringMatching(/\(.*, 01\) stopped in the middle of its switch$/),
    ])
  })

  test('rolling has one place and no color', async () => {
    const { data, lines } = await status(
      ({ cluster }) => cluster.put(deployment('plain', made('1.0.0'))),
      undefined,
      { strategy: 'rolling' },
    )
    expect(data).toMatchObject({ live: 'plain', workloads: [{ color: 'plain', wanted: 2 }] })
    expect(lines[0]).toMatch(/^live {6}plain {2}1\.0\.0 {2}2 of 2 pods ready/)
  })
})
