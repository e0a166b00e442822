/** The checklist inside a deployment: what must never happen without it, and what it must never hold up. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readRecord } from '../../../lib/history/store.ts'
import type { Request } from '../../../lib/release/plan.ts'
import { boxesOf } from '../../../lib/release/checklist.ts'
import { run, type Terms } from '../../../lib/release/deployment.ts'
import { boxIds, preflight, windows, type BoxId } from '../../../lib/settings/preflight.ts'
import { resume } from '../../../lib/release/resume.ts'
import { switchAlone } from '../../../lib/release/switch-alone.ts'
import { APP, deployment, live, made } from '../objects.ts'
import { failure, gates, lastSwitch, rehearse, running, type Rehearsal } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const next = made('1.1.0')
const request: Request = { id: next.release, image: next.image, version: next.version, reason: undefined }

/** Only these boxes. */
const only = (...ids: BoxId[]) => preflight.parse({ off: boxIds.filter((id) => !ids.includes(id)) })

function ready(settings: Parameters<typeof rehearse>[0]): Rehearsal {
  const rehearsal = rehearse({ manifests: `${import.meta.dir}/../manifests`, ...settings })
  const { cluster } = rehearsal
  running(cluster, { blue: '1.0.0' }, 'blue')
  cluster.intercept = (line) => (line.startsWith('kustomize') ? cluster.kustomize(line) : undefined)
  return rehearsal
}

const go = ({ world }: Rehearsal, terms: Partial<Terms> = {}, more: Partial<Request> = {}) =>
  run(world, { ...request, ...more }, gates(), {
    context: undefined,
    verbose: false,
    proceed: () => Promise.resolve(true),
    ...terms,
  })

const closed = windows.parse({ zone: 'UTC', open: [{ from: '09:00', to: '10:00' }] })

test('nothing is asked where nothing is set; windows that are set hold by themselves', () => {
  expect(boxesOf({ preflight: undefined })).toEqual([])
  expect(boxesOf({ preflight: false })).toEqual([])
  expect(boxesOf({ preflight: undefined, windows: closed })).toEqual(['windows'])
  expect(boxesOf({ preflight: preflight.parse({}) })).toEqual([...boxIds])
  expect(boxesOf({ preflight: preflight.parse({ off: ['drill'] }) })).not.toContain('drill')
})

describe('a box that is not ticked', () => {
  test('refuses the deployment before anything is written, and all are told at once', async () => {
    await using rehearsal = ready({ preflight: only('docs', 'team', 'windows'), windows: closed })
    const { code, message } = await failure(go(rehearsal))
    expect(code).toBe(6)
    for (const id of ['docs', 'team', 'windows']) expect(message).toContain(`\n  ${id}: `)
    expect(message).toStartWith('3 boxes are not ticked before test')
    expect(rehearsal.cluster.writes).toEqual([])
  })

  test('is answered for by name, which the record keeps', async () => {
    await using rehearsal = ready({ preflight: only('docs', 'team') })
    const record = await go(rehearsal, {
      acks: [
        ['docs', 'nothing that users see'],
        ['team', 'told in #ops'],
      ],
    })
    const acknowledged = [
      {
        id: 'docs',
        reason: 'nothing that users see',
        by: 'alice@laptop',
        was: expect.stringMatching(/^unknown: /),
      },
      { id: 'team', reason: 'told in #ops', by: 'alice@laptop', was: expect.stringMatching(/^unknown: /) },
    ]
    expect(record).toMatchObject({ outcome: 'succeeded', acknowledged })
    const kept = await readRecord(rehearsal.world, next.release)
    expect(kept?.entry).toMatchObject({ acknowledged })
    expect(rehearsal.log.lines.join('\n')).toMatch(/acked {4}team: told in #ops \(unknown: /)
  })

  test('one of two is not enough', async () => {
    await using rehearsal = ready({ preflight: only('docs', 'team') })
    const { code, message } = await failure(go(rehearsal, { acks: [['docs', 'x']] }))
    expect(code).toBe(6)
    expect(message).toStartWith('One box is not ticked before test')
    expect(rehearsal.cluster.writes).toEqual([])
  })

  test('only warns where the team says so', async () => {
    await using rehearsal = ready({ preflight: { ...only('docs'), warn: ['docs'] } })
    const record = await go(rehearsal)
    expect(record).toMatchObject({ outcome: 'succeeded' })
    expect(record?.acknowledged).toBeUndefined()
    expect(rehearsal.log.warnings).toContainEqual(expect.stringMatching(/^docs: deploy.yaml does not say/))
  })

  test('of what an image went through, --override answers for as well', async () => {
    await using rehearsal = ready({ preflight: only('tests', 'scan', 'staging') })
    rehearsal.cluster.intercept = (line) =>
      line.startsWith('kustomize') ? rehearsal.cluster.kustomize(line) : undefined
    const record = await go(rehearsal, { override: 'the first release' })
    expect(record?.acknowledged?.map(({ id, reason }) => `${id}: ${reason}`)).toEqual([
      'tests: the first release',
      'scan: the first release',
      'staging: the first release',
    ])
  })
})

test('what goes back is never asked, whatever the boxes say and the calendar', async () => {
  await using rehearsal = ready({ preflight: preflight.parse({}), windows: closed })
  const kept = [deployment('plain', next)]
  expect(await go(rehearsal, {}, { kept })).toMatchObject({ outcome: 'succeeded' })
})

test('a rolling deployment is asked, too', async () => {
  await using rehearsal = ready({ strategy: 'rolling', windows: closed })
  rehearsal.cluster.objects.clear()
  rehearsal.cluster.put(deployment('plain', made('1.0.0')))
  const { code, message } = await failure(go(rehearsal))
  expect([code, message.split('\n')[1]]).toEqual([
    6,
    expect.stringMatching(
      /^ {2}windows: Mon 2026-11-23 08:00 UTC is in no window; the next opens Mon 2026-11-23 09:00/,
    ),
  ])
  expect(rehearsal.cluster.writes).toEqual([])
})

const open = ({ world }: Rehearsal, acks: Terms['acks'] = []) =>
  resume(world, next.release, { id: 'r-open' }, gates(), {
    context: undefined,
    verbose: false,
    acks,
    proceed: () => Promise.resolve(true),
  })
const move = ({ world }: Rehearsal, acks: Terms['acks'] = []) =>
  switchAlone(world, { id: 'r-switch', to: 'green', reason: undefined, acks }, gates())

describe('windows, when what is verified is opened', () => {
  const set = { windows: closed, preflight: undefined }
  const shut = /^One box is not ticked before test .*\n {2}windows: Mon 2026-11-23 08:00 UTC is in no window/
  const answer = [['windows', 'users wait for it']] as const
  const answered = { id: 'windows', reason: 'users wait for it', by: 'alice@laptop' }

  async function verified(): Promise<Rehearsal> {
    const rehearsal = ready({})
    await go(rehearsal, {}, { until: 'verified' })
    Object.assign(rehearsal.world.environment, set)
    rehearsal.cluster.writes.length = 0
    return rehearsal
  }

  test.each([
    ['--resume', open],
    ['switch-traffic', move],
  ] as const)('%s is refused, and users stay', async (_, by) => {
    await using rehearsal = await verified()
    const { code, message } = await failure(by(rehearsal))
    expect([code, message]).toEqual([6, expect.stringMatching(shut)])
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
    expect(rehearsal.cluster.object('Lease', `${APP}-deploy`).spec?.holderIdentity).toBe('')
  })

  test.each([
    ['--resume', open],
    ['switch-traffic', move],
  ] as const)('%s: answered for, it is opened, and the record says so', async (_, by) => {
    await using rehearsal = await verified()
    expect(await by(rehearsal, answer)).toMatchObject({ outcome: 'succeeded', acknowledged: [answered] })
    expect(rehearsal.cluster.selector()).toEqual(live('green'))
  })

  test('what was answered for when it was deployed stays', async () => {
    await using rehearsal = ready({ preflight: only('docs') })
    await go(rehearsal, { acks: [['docs', 'nothing']] }, { until: 'verified' })
    Object.assign(rehearsal.world.environment, set)
    expect(await open(rehearsal, answer)).toMatchObject({ acknowledged: [{ id: 'docs' }, answered] })
  })

  test('only warns, or is not asked, where the team says so', async () => {
    for (const wanted of [{ warn: ['windows'] }, { off: ['windows'] }]) {
      await using rehearsal = await verified()
      Object.assign(rehearsal.world.environment, { preflight: preflight.parse(wanted) })
      expect(await open(rehearsal)).toMatchObject({ outcome: 'succeeded' })
      const warned = rehearsal.log.warnings.filter((line) => line.startsWith('windows: '))
      expect(warned).toHaveLength('warn' in wanted ? 1 : 0)
    }
  })

  test('the way back is never asked', async () => {
    await using rehearsal = await verified()
    const { cluster, world } = rehearsal
    cluster.object('Service', APP).spec = { selector: live('green') }
    lastSwitch(cluster, { to: { color: 'green', ...next }, from: { color: 'blue', ...made('1.0.0') } })
    const entry = await switchAlone(world, { id: 'r-back', to: 'blue', reason: 'slow' }, gates())
    expect(entry).toMatchObject({ outcome: 'succeeded' })
    expect(cluster.selector()).toEqual(live('blue'))
  })
})
