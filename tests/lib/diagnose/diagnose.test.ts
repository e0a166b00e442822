import { describe, expect, test } from 'bun:test'
import { diagnosisLines, firstLine } from '../../../lib/diagnose/lines.ts'
import type { Policy, Scene } from '../../../lib/diagnose/seen.ts'
import { healthy, ids, notReady, podsOf, record, saying, spoiled } from './scenes.ts'

const DATABASE = JSON.stringify({
  level: 'warn',
  message: 'readiness check failed',
  error: 'Error: connect ECONNREFUSED db.internal:5432',
})

const waits = (reason: string, message: string) => ({
  state: { waiting: { reason, message } },
  restartCount: 0,
})
const died = (reason: string, exitCode: number) => ({
  restartCount: 3,
  state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
  lastState: { terminated: { reason, exitCode } },
})
const probe = (scene: Scene, color: 'blue' | 'green', message: string): Scene['events'] =>
  podsOf(scene, color).map(({ metadata }) => ({
    kind: 'Event',
    involvedObject: { kind: 'Pod', name: metadata.name },
    type: 'Warning',
    reason: 'Unhealthy',
    message,
  }))

const policy = (spec: Partial<Policy['spec']>): Policy => ({
  kind: 'NetworkPolicy',
  metadata: {
    name: 'shut',
    uid: '',
    resourceVersion: '',
    generation: 0,
    labels: {},
    annotations: {},
    ownerReferences: [],
  },
  spec: { podSelector: { matchLabels: {}, matchExpressions: [] }, policyTypes: [], ingress: [], ...spec },
})
const port = (number: number, endPort?: number) => ({
  from: [],
  to: [],
  ports: [{ port: number, ...(endPort && { endPort }) }],
})

test('what is healthy is called healthy', () => {
  const diagnosis = spoiled(() => {})
  expect(diagnosis).toMatchObject({
    healthy: true,
    causes: [],
    first: 'No color fails.',
    colors: { blue: [], green: [] },
  })
  expect(diagnosisLines(diagnosis)[0]).toBe('healthy: nothing was found that is wrong')
  expect(firstLine(diagnosis)).toBeUndefined()
})

/** Pods of the idle color that are ready since so many seconds before the addresses were asked; and what it answered. */
const emptied = (seconds: number, answer: object) =>
  spoiled((scene) => {
    const since = new Date(scene.asked - seconds * 1000).toISOString()
    for (const { status } of podsOf(scene, 'blue'))
      for (const condition of status.conditions) condition.lastTransitionTime = since
    return { answers: ['/', '/version'].map((path) => ({ at: 'preview' as const, path, ms: 1, ...answer })) }
  })

describe('a color whose pods have just started anew, as those that were left do', () => {
  const refused = { failure: 'nothing listens there' }
  test.each([
    ['was asked too early', -1, refused],
    ['is not behind its Service yet', 1, refused],
    ['is not behind its proxy yet', 1, { status: 503 }],
  ])('%s', (_, seconds, answer) =>
    expect(emptied(seconds, answer)).toMatchObject({ healthy: true, first: 'No color fails.' }),
  )
  test.each([
    ['answers nothing for long', 3, refused],
    ['answers wrongly', -1, { status: 500 }],
  ])('%s', (_, seconds, answer) =>
    expect(emptied(seconds, answer).first).toBe('Only blue fails, where no user is; green is well.'),
  )
})

const starting = (color: 'blue' | 'green', seconds: number, told = true) =>
  spoiled((scene) => {
    const refused = 'Startup probe failed: dial tcp 10.0.0.9:3000: connect: connection refused'
    notReady(scene, color, { state: { running: {} }, restartCount: 0 })
    for (const { metadata } of podsOf(scene, color))
      metadata.creationTimestamp = new Date(scene.now - seconds * 1000).toISOString()
    return { events: told ? probe(scene, color, refused) : [] }
  })

describe('pods that do not listen yet', () => {
  test('of the color that was just left are on their way', () =>
    expect(starting('blue', 5)).toMatchObject({
      healthy: true,
      first: 'No color fails.',
      colors: { blue: [] },
      causes: [{ certainty: 'possible' }],
    }))

  test('and that no probe has told of yet are', () => {
    expect(starting('blue', 1, false)).toMatchObject({
      healthy: true,
      colors: { blue: [] },
      causes: [{ certainty: 'possible' }],
    })
    const what = expect.stringContaining('is not ready, and no probe has said why') as string
    const next = expect.stringContaining(' describe pod ') as string
    expect(starting('blue', 6, false)).toMatchObject({
      healthy: false,
      causes: [{ id: 'not-ready', what, next }],
    })
  })

  test('for long are what is wrong', () =>
    expect(starting('blue', 30)).toMatchObject({ healthy: false, causes: [{ id: 'probe' }] }))

  test('are felt where users are', () =>
    expect(starting('green', 5)).toMatchObject({
      healthy: false,
      colors: { green: [expect.stringMatching(/^0 of 2 pods ready/)] },
    }))
})

describe('the true one first', () => {
  test.each<[string, string, (scene: Scene) => Partial<Scene> | void]>([
    [
      'image',
      'idle pods that wait for it',
      (scene) => notReady(scene, 'blue', waits('ImagePullBackOff', 'not found')),
    ],
    [
      'configuration',
      'a Secret',
      (scene) => notReady(scene, 'blue', waits('CreateContainerConfigError', 'secret "x" not found')),
    ],
    ['crash', 'by itself', (scene) => notReady(scene, 'blue', died('Error', 1))],
    ['out-of-memory', 'and it crashes for it', (scene) => notReady(scene, 'blue', died('OOMKilled', 137))],
    [
      'database',
      'and it crashes for it',
      (scene) => (notReady(scene, 'blue', died('Error', 1)), saying(scene, 'blue', DATABASE)),
    ],
    [
      'database',
      'unready, endpoints gone, address silent',
      (scene) => {
        notReady(scene, 'green')
        saying(scene, 'green', DATABASE)
        for (const slice of scene.slices) for (const end of slice.endpoints) end.conditions.ready = false
        return { answers: [{ at: 'live', path: '/', ms: 1, failure: 'ECONNREFUSED' }] }
      },
    ],
    [
      'probe',
      'a path that is not there',
      (scene) => (
        notReady(scene, 'blue'),
        { events: probe(scene, 'blue', 'Readiness probe failed: HTTP probe failed with statuscode: 404') }
      ),
    ],
    [
      'cpu-limit',
      'too slow for its probe',
      (scene) => {
        notReady(scene, 'blue')
        for (const { spec } of podsOf(scene, 'blue'))
          for (const { resources } of spec.containers) resources.limits.cpu = '50m'
        return { events: probe(scene, 'blue', 'Readiness probe failed: Get "x": context deadline exceeded') }
      },
    ],
    ['one-pod', 'of two', (scene) => saying(scene, 'green', 'Error: disk full', 25, 1)],
    [
      'schema',
      'and requests fail for it',
      (scene) => saying(scene, 'green', 'ERROR: relation "moods" does not exist'),
    ],
    [
      'release-errors',
      'answers with 500',
      () => ({ answers: [{ at: 'live', path: '/', status: 500, ms: 3 }] }),
    ],
    [
      'migration',
      'of the last attempt',
      () => ({ last: record({ message: 'The migration failed: job/app-migrate: BackoffLimitExceeded' }) }),
    ],
    ['waits-for-resume', 'verified and not opened', () => ({ last: record({ outcome: 'verified' }) })],
    ['abandoned', 'an open record, and no holder', () => ({ last: record({ outcome: 'open' }) })],
    [
      'network-policy',
      'nobody is let in, and nobody answers',
      () => ({
        policies: [policy({})],
        answers: [{ at: 'live', path: '/', ms: 2000, failure: 'no whole answer within 2 s' }],
      }),
    ],
    [
      'dns',
      'no such name',
      () => ({ resolved: { host: 'chat.example.com', addresses: [], failure: 'ENOTFOUND' } }),
    ],
  ])('%s: %s', (id, _, spoil) => {
    const diagnosis = spoiled(spoil)
    expect(ids(diagnosis)[0]).toBe(id)
    expect(diagnosis.healthy).toBe(false)
  })
})

describe('do both colors fail?', () => {
  test('the live one alone: going back helps', () => {
    const { first, causes } = spoiled((scene) => saying(scene, 'green', 'Error: boom', 12))
    expect(first).toContain('Only green fails, where users are; blue is well, so going back helps')
    expect(causes[0]?.next).toContain('scripts/rollback-deployment.ts --env production')
  })
  test('nothing sends users back to what was just gone back from', () => {
    const { first, causes } = spoiled((scene) => {
      saying(scene, 'green', 'Error: boom', 12)
      const service = scene.objects.find(({ metadata }) => metadata.name === 'chatbot-platform')
      const { annotations = {} } = service?.metadata ?? {}
      const last = JSON.parse(annotations['deploy-scripts/switch'] ?? '')
      annotations['deploy-scripts/switch'] = JSON.stringify({ ...last, kind: 'rollback' })
    })
    expect(first).toEndWith('there is nothing to go back to that is well.')
    expect(JSON.stringify(causes)).not.toContain('rollback-deployment')
  })
  test('both: it is what they share, and nothing sends users back', () => {
    const { first, causes } = spoiled((scene) => {
      for (const color of ['blue', 'green'] as const) {
        saying(scene, color, DATABASE)
        notReady(scene, color)
      }
    })
    expect(first).toStartWith('Both colors fail')
    expect(causes[0]).toMatchObject({ id: 'database', what: expect.stringContaining('(db.internal:5432)') })
    expect(causes.map(({ next }) => next).join()).not.toContain('rollback')
  })
  test('the idle one alone: no user is there', () => {
    const { first } = spoiled((scene) => notReady(scene, 'blue', died('Error', 1)))
    expect(first).toBe('Only blue fails, where no user is; green is well.')
  })
  test('a color that was scaled down does not fail', () => {
    const { healthy: well, colors } = spoiled(({ objects }) => {
      const gone = objects.filter(
        ({ metadata, kind }) => !(kind === 'Pod' && metadata.labels.color === 'blue'),
      )
      for (const one of gone)
        if (one.kind === 'Deployment' && one.metadata.name.endsWith('blue')) one.spec.replicas = 0
      return { objects: gone }
    })
    expect([well, colors]).toEqual([true, { blue: [], green: [] }])
  })
})

describe('what is no trouble', () => {
  test.each<[string, (scene: Scene) => Partial<Scene> | void]>([
    [
      'errors now and then, where every request is answered',
      (scene) => saying(scene, 'green', 'Error: a job failed', 9),
    ],
    ['four lines of errors', (scene) => saying(scene, 'green', 'Error: client went away', 2)],
    [
      'errors of yesterday',
      (scene) => (saying(scene, 'green', 'Error: boom', 50), { now: scene.now + 86_400_000 }),
    ],
    ['a database that was away while a pod started', (scene) => saying(scene, 'green', DATABASE, 1)],
    ['a policy that admits by a range', () => ({ policies: [policy({ ingress: [port(2000, 4000)] })] })],
    [
      'a policy for other pods',
      () => ({
        policies: [policy({ podSelector: { matchLabels: { app: 'other' }, matchExpressions: [] } })],
      }),
    ],
    ['a policy for what goes out', () => ({ policies: [policy({ policyTypes: ['Egress'] })] })],
    [
      'a record that succeeded',
      () => ({
        last: record({
          outcome: 'succeeded',
          checks: [{ gate: 'ui', name: 'x', verdict: 'failed', expected: '', seen: '' }],
        }),
      }),
    ],
    ['policies that may not be read', () => ({ policies: undefined })],
  ])('%s', (_, spoil) => expect(spoiled(spoil)).toMatchObject({ healthy: true }))
})

/** What live and preview took, in ms, one after the other. */
const taking = (live: number[], preview: number[]) => () => ({
  answers: (['live', 'preview'] as const).flatMap((at) =>
    (at === 'live' ? live : preview).map((ms) => ({ at, path: '/', status: 200, ms })),
  ),
})

const path = (name: string, times: number[]) => times.map((ms) => ({ path: name, status: 200, ms }))

describe('slow', () => {
  const well = [20, 25, 30, 40]

  test.each<[string, number[], number[]]>([
    ['one that is slow beside a quick one', [700, 705, 710, 900], well],
    ['one alone', [1100, 1200, 1300, 1500], []],
  ])('%s', (_, live, preview) => {
    const diagnosis = spoiled(taking(live, preview))
    expect(diagnosis.causes[0]).toMatchObject({ id: 'slow', certainty: 'likely', users: true })
    expect(diagnosis.healthy).toBe(false)
  })

  test.each<[string, number[], number[]]>([
    ['a busy moment of the machine that asks', [30, 40, 1400, 1900], well],
    ['most of the moments', [60, 190, 1400, 1900], well],
    ['a machine that is busy all the time', [900, 1300, 1500, 1900], [1000, 1200, 1400, 1800]],
    ['and a little more on one side', [1100, 1400, 1700, 1900], [400, 500, 600, 700]],
    ['one alone, now and then', [30, 40, 1400, 1900], []],
  ])('is not %s', (_, live, preview) => {
    const { healthy: called, causes } = spoiled(taking(live, preview))
    expect([called, causes.filter(({ certainty }) => certainty !== 'possible')]).toEqual([true, []])
  })

  test('what is light on a slow color is no reason to call it quick', () => {
    const { causes } = spoiled(() => ({
      answers: [
        ...[
          ...path('/health', well),
          ...path('/', [700, 705, 710, 900]),
          ...path('/api', [700, 701, 703, 704]),
        ].map((one) => ({ at: 'live' as const, ...one })),
        ...[...path('/health', well), ...path('/', well), ...path('/api', well)].map((one) => ({
          at: 'preview' as const,
          ...one,
        })),
      ],
    }))
    expect(causes[0]).toMatchObject({ id: 'slow', certainty: 'likely' })
  })

  test('both alike is possible, and said', () => {
    const { causes } = spoiled(taking([1400, 1500, 1600, 1700], [1400, 1500, 1600, 1700]))
    expect(causes.map(({ id, certainty }) => [id, certainty])).toEqual([
      ['slow', 'possible'],
      ['slow', 'possible'],
    ])
  })
})

test('the policy that keeps pods from their database is named', () => {
  const { causes } = spoiled((scene) => {
    notReady(scene, 'green')
    saying(scene, 'green', DATABASE)
    return { policies: [policy({ policyTypes: ['Egress'], egress: [port(443)] })] }
  })
  expect(causes[0]).toMatchObject({
    id: 'database',
    next: expect.stringContaining('describe networkpolicy shut'),
  })
  expect(causes[0]?.evidence).toContain('NetworkPolicy shut lets nothing out to port 5432')
})

test('a name that leads elsewhere than to the balancer, and for how long it is kept', () => {
  const { causes } = spoiled(({ objects }) => {
    for (const one of objects) {
      if (one.kind !== 'Service') continue
      one.spec.type = 'LoadBalancer'
      one.status.loadBalancer.ingress = [{ ip: '203.0.113.9' }]
    }
    return { resolved: { host: 'chat.example.com', addresses: [{ address: '203.0.113.1', ttl: 3600 }] } }
  })
  expect(causes[0]).toMatchObject({ id: 'dns', certainty: 'possible' })
  expect(causes[0]?.evidence.join()).toContain('up to 3600 s (TTL)')
})

test('a rolling environment has one place, and no selector of a color', () => {
  const { causes, first } = spoiled(({ site }) => ({ site: { ...site, strategy: 'rolling' } }))
  expect([causes.filter(({ id }) => id === 'selector'), first]).toEqual([[], 'No color fails.'])
})

test('every cause ends in a command that says where: context and namespace, or the environment', () => {
  const { causes } = spoiled((scene) => {
    notReady(scene, 'green', died('Error', 1))
    saying(scene, 'blue', DATABASE)
    return {
      last: record({
        to: { color: 'blue', version: '1.0.0' },
        checks: [{ gate: 'smoke', name: 'x', verdict: 'failed', expected: 'a', seen: 'b' }],
      }),
      slices: [],
    }
  })
  expect(causes.length).toBeGreaterThan(2)
  for (const { next } of causes)
    expect(next).toMatch(/^kubectl --context=sandbox --namespace=\S+ |--env production/)
})

const told = (spoil: (scene: Scene) => Partial<Scene> | void) => diagnosisLines(spoiled(spoil))

describe('as people read it', () => {
  test('80 columns, but for what is pasted', () => {
    const lines = told((scene) => {
      saying(scene, 'green', `Error: ${'long words of an application '.repeat(30)}`)
      return { unread: ['logs: '.repeat(40)] }
    })
    // Two columns are the terminal's own indent.
    expect(lines.filter((line) => line.length > 78 && !/^ +(kubectl|bun) /.test(line))).toEqual([])
  })
  test('a line that plays terminal is only shown', () => {
    const lines = told((scene) => saying(scene, 'green', 'Error: \u001B[2J\u202Eevil ##[error]x\r\nfake'))
    for (const evil of ['\u001B', '\u202E', '\r', '##[']) expect(lines.join('\n')).not.toContain(evil)
  })
  test('what is only possible is no first look', () => {
    const possible = spoiled(() => ({ policies: [policy({})] }))
    expect([ids(possible), possible.healthy, firstLine(possible)]).toEqual([
      ['network-policy'],
      true,
      undefined,
    ])
  })
  test('a failed deployment is told one cause and one command', () => {
    const line =
      firstLine(spoiled((scene) => notReady(scene, 'blue', waits('ErrImagePull', 'not found')))) ?? ''
    expect(line.split('\n')).toEqual([
      'First look: blue (idle): its image cannot be pulled',
      expect.stringMatching(/^  kubectl .* describe pod /),
    ])
  })
})

test('the recorded state is what the code reads', () => {
  expect(podsOf(healthy(), 'green')).toHaveLength(2)
  expect(healthy().answers.length).toBeGreaterThan(10)
})
