/** Writes to a color that the API server itself refuses once somebody else has come (S3). */
import { describe, expect, test } from 'bun:test'
import { key } from '../../../lib/app/color.ts'
import { applyColor, claimColor, restartColor, scaleColor, unchanged } from '../../../lib/app/fenced.ts'
import type { ColorState } from '../../../lib/app/observe.ts'
import { deployment as deploymentForm } from '../../../lib/cluster/objects.ts'
import { refused } from '../cluster.ts'
import { APP, autoscaler, deployment, made } from '../objects.ts'
import { failure, rehearse, running, type Rehearsal } from '../world.ts'

const next = [deployment('green', made('1.1.0')), autoscaler('green')]
const APPLY = `apply Deployment/${APP}-green HorizontalPodAutoscaler/${APP}-green`
const CONFLICT = /^kubectl apply: error: Operation cannot be fulfilled on .*: the object has been modified$/

const OTHER_HANDS = 'green: somebody else has written to it since it was looked at, so it is left as it is'

const green = ({ cluster }: Rehearsal) => cluster.object('Deployment', `${APP}-green`)
const versionOf = ({ metadata: { annotations } }: ReturnType<typeof green>) => annotations?.[key.version]

/** As a controller does it: only the status, and with it the object's version. */
function statusChanges(rehearsal: Rehearsal): void {
  const { metadata } = green(rehearsal)
  metadata.resourceVersion = `${metadata.resourceVersion}0`
}

/** It carries the token of whoever wrote to it last. */
function token(rehearsal: Rehearsal, value: string): void {
  const { metadata } = green(rehearsal)
  metadata.annotations = { ...metadata.annotations, [key.lock]: value }
}

/** 1.0.0 serves in green; the test's own run has read it. */
function greenServes(rehearsal: Rehearsal): void {
  running(rehearsal.cluster, { blue: '0.9.0', green: '1.0.0' }, 'blue')
}

/** Before the first so many applies reach the server, something happens. */
function beforeApply({ cluster }: Rehearsal, times: number, act: () => unknown): void {
  let left = times
  cluster.intercept = async (_, name) => {
    if (name === APPLY && left-- > 0) await act()
    return undefined
  }
}

const applies = ({ cluster }: Rehearsal): string[] =>
  cluster.printed.filter((line) => line.includes(' apply '))

describe('applyColor', () => {
  test('afterwards the objects carry the token, and what they had', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    greenServes(rehearsal)
    await applyColor(world, next, 'mine', () => Promise.resolve())
    expect(cluster.writes).toEqual([APPLY])
    expect(green(rehearsal).metadata.annotations).toMatchObject({
      [key.lock]: 'mine',
      [key.version]: '1.1.0',
    })
    expect(cluster.object('HorizontalPodAutoscaler', `${APP}-green`).metadata.annotations).toEqual({
      [key.lock]: 'mine',
    })
  })

  test('a color that somebody else has come to is not applied to', async () => {
    await using rehearsal = rehearse()
    const { world } = rehearsal
    greenServes(rehearsal)
    beforeApply(rehearsal, 1, () => claimColor(world, 'green', 'theirs'))
    const stillMine = async () => {
      if (green(rehearsal).metadata.annotations?.[key.lock]) throw new Error('somebody went back')
      await Promise.resolve()
    }
    expect((await failure(applyColor(world, next, 'mine', stillMine))).message).toMatch(/somebody went back$/)
    expect(versionOf(green(rehearsal))).toBe('1.0.0')
    expect(green(rehearsal).metadata.annotations?.[key.lock]).toBe('theirs')
    expect(applies(rehearsal)).toHaveLength(1)
  })

  test('nor one whose Deployment somebody else has made meanwhile', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    beforeApply(rehearsal, 1, () => cluster.put(deployment('green', made('1.2.0'))))
    const stillMine = async () => {
      if (cluster.objects.has(`Deployment/${APP}-green`)) throw new Error('somebody is there')
      await Promise.resolve()
    }
    expect((await failure(applyColor(world, next, 'mine', stillMine))).message).toMatch(/somebody is there$/)
    expect(versionOf(green(rehearsal))).toBe('1.2.0')
  })

  test('a change of the status alone is followed, and it is asked each time whether it is still ours', async () => {
    await using rehearsal = rehearse()
    const { world } = rehearsal
    greenServes(rehearsal)
    beforeApply(rehearsal, 3, () => statusChanges(rehearsal))
    let asked = 0
    await applyColor(world, next, 'mine', () => Promise.resolve(asked++))
    expect(asked).toBe(4)
    expect(versionOf(green(rehearsal))).toBe('1.1.0')
  })

  test('but not for ever', async () => {
    await using rehearsal = rehearse()
    const { world } = rehearsal
    greenServes(rehearsal)
    beforeApply(rehearsal, 99, () => statusChanges(rehearsal))
    expect(await failure(applyColor(world, next, 'mine', () => Promise.resolve()))).toEqual({
      code: 1,
      message: expect.stringMatching(CONFLICT),
    })
    expect(applies(rehearsal)).toHaveLength(5)
    expect(versionOf(green(rehearsal))).toBe('1.0.0')
  })

  test('any other refusal is not tried again', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    greenServes(rehearsal)
    cluster.intercept = (_, name) =>
      name === APPLY ? refused('Error from server (Forbidden): no') : undefined
    expect((await failure(applyColor(world, next, 'mine', () => Promise.resolve()))).message).toMatch(
      /Forbidden/,
    )
    expect(applies(rehearsal)).toHaveLength(1)
  })

  test('a server that creates nothing under a version is asked without one', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    const sent: unknown[] = []
    const read = cluster.read.bind(cluster)
    cluster.read = (command, options) => {
      if (!command.includes('apply')) return read(command, options)
      const { items } = JSON.parse(options?.input ?? '') as {
        items: { metadata: { resourceVersion?: string } }[]
      }
      const versions = items.map(({ metadata }) => metadata.resourceVersion)
      sent.push(versions)
      const none = refused('error: Operation cannot be fulfilled on Deployment "chat-green": it is not there')
      return versions.some((version) => version !== undefined)
        ? Promise.resolve(none)
        : read(command, options)
    }
    await applyColor(world, next, 'mine', () => Promise.resolve())
    expect(sent).toEqual([
      ['1', '1'],
      [undefined, undefined],
    ])
    expect(versionOf(green(rehearsal))).toBe('1.1.0')
  })
})

describe('a write that was decided on by what was read', () => {
  const writes: [string, (rehearsal: Rehearsal, state: ColorState) => Promise<void>][] = [
    ['scaleColor', ({ world }, state) => scaleColor(world, state, 0)],
    ['restartColor', ({ world }, state) => restartColor(world, state)],
  ]

  const cases: {
    name: string
    /** Before it is read, and between the reading and the write. */
    given?: (rehearsal: Rehearsal) => unknown
    meanwhile?: (rehearsal: Rehearsal) => unknown
    goes: boolean
  }[] = [
    { name: 'nothing has happened', goes: true },
    {
      name: 'the status has changed, where there is no token to go by',
      meanwhile: statusChanges,
      goes: false,
    },
    {
      name: 'somebody has put his token there, where there was none',
      meanwhile: ({ world }) => claimColor(world, 'green', 'theirs'),
      goes: false,
    },
    { name: 'the token is the same', given: (rehearsal) => token(rehearsal, 'mine'), goes: true },
    {
      name: 'the token is the same, and the status has changed',
      given: (rehearsal) => token(rehearsal, 'mine'),
      meanwhile: statusChanges,
      goes: true,
    },
    {
      name: 'the token is another',
      given: (rehearsal) => token(rehearsal, 'mine'),
      meanwhile: ({ world }) => claimColor(world, 'green', 'theirs'),
      goes: false,
    },
  ]
  const both = writes.flatMap(([write, act]) => cases.map((one) => ({ ...one, write, act })))
  test.each(both)('$write: $name → $goes', async ({ act, given, meanwhile, goes }) => {
    await using rehearsal = rehearse()
    greenServes(rehearsal)
    await given?.(rehearsal)
    const state = (await rehearsal.observed()).colors.green
    await meanwhile?.(rehearsal)
    const spec = structuredClone(green(rehearsal).spec)
    const failed = await failure(act(rehearsal, state))
    if (goes) expect(failed).toEqual({ code: 0, message: '' })
    else expect(failed).toEqual({ code: 1, message: OTHER_HANDS })
    expect(Bun.deepEquals(green(rehearsal).spec, spec)).toBe(!goes)
  })

  test('pods are replaced also where the template has no annotations yet', async () => {
    await using rehearsal = rehearse()
    greenServes(rehearsal)
    for (const at of ['2026-11-23T08:00:00.000Z', '2026-11-23T08:00:01.000Z']) {
      await restartColor(rehearsal.world, (await rehearsal.observed()).colors.green)
      expect(green(rehearsal).spec).toMatchObject({
        template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': at } } },
      })
      await rehearsal.clock.sleep(1000)
    }
  })

  test.each(writes)('%s: a color without a Deployment is told', async (_, act) => {
    await using rehearsal = rehearse()
    running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
    const state = (await rehearsal.observed()).colors.green
    expect(await failure(act(rehearsal, state))).toEqual({ code: 1, message: 'green has no Deployment' })
  })
})

test('unchanged: the token counts, and without one the version', () => {
  const about = { ...deployment('green', made('1.0.0')), metadata: { name: 'x', resourceVersion: '7' } }
  expect(unchanged(deploymentForm.parse(about))).toEqual({
    op: 'test',
    path: '/metadata/resourceVersion',
    value: '7',
  })
  const metadata = { ...about.metadata, annotations: { [key.lock]: 'mine' } }
  expect(unchanged(deploymentForm.parse({ ...about, metadata }))).toEqual({
    op: 'test',
    path: '/metadata/annotations/deploy-scripts~1lock',
    value: 'mine',
  })
})

describe('claimColor', () => {
  test('puts the token on all of a color, on nothing of the other, and changes nothing that runs', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    greenServes(rehearsal)
    const pods = cluster.all('Pod').map(({ metadata }) => metadata.name)
    for (const _ of ['once', 'and again']) await claimColor(world, 'green', 'mine')
    const marked = [...cluster.objects.values()]
      .filter(({ metadata: { annotations } }) => annotations?.[key.lock] === 'mine')
      .map(({ kind, metadata: { name } }) => `${kind}/${name}`)
    expect(marked.toSorted()).toEqual([`Deployment/${APP}-green`, `HorizontalPodAutoscaler/${APP}-green`])
    expect(cluster.all('Pod').map(({ metadata }) => metadata.name)).toEqual(pods)
  })
})
