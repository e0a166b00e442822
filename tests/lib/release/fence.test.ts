/** Nothing of a run that was fenced off reaches a color that has become live (S2, S3). */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Color } from '../../../lib/app/color.ts'
import { deploy } from '../../../lib/release/blue-green.ts'
import { APP, deployment, live, made } from '../objects.ts'
import { failure, gates, rehearse, running, type Rehearsal, type Says } from '../world.ts'
import { planned, request, wentBack } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

/** What makes a color what it is. */
const partsOf = ({ cluster }: Rehearsal, color: Color): unknown =>
  ['Deployment', 'HorizontalPodAutoscaler'].map((kind) => {
    const { metadata, spec } = cluster.object(kind, `${APP}-${color}`)
    return structuredClone({ annotations: metadata.annotations, generation: metadata.generation, spec })
  })

interface Case {
  name: string
  /** The write, or the reading, before which somebody goes back. */
  when: (line: string, rehearsal: Rehearsal, write: string | undefined) => boolean
  /** Where he goes: the color that the deployment is about to write to. */
  to: Color
  settings?: object
  says?: (rehearsal: Rehearsal) => Record<string, Says>
  clean?: boolean
  code: number
  message: RegExp
}

const scales = (line: string, color: Color, replicas: number): boolean =>
  line.startsWith(`patch deployment ${APP}-${color}`) &&
  line.includes(`"path":"/spec/replicas","value":${replicas}`)

/** While the gates run, blue gets a third pod. */
const grows = ({ cluster }: Rehearsal): Record<string, Says> => ({
  preview: () => {
    cluster.put(deployment('blue', made('1.0.0'), 3))
    return 'passed'
  },
})

const failing = (): Record<string, Says> => ({ preview: 'failed' })

const looks = (line: string): boolean => line.startsWith('get services,')

/** The second look at what is there, one after the other, since a gate failed. */
const looksAgain = (line: string, { cluster, log }: Rehearsal): boolean =>
  looks(line) && looks(cluster.asked.at(-2) ?? '') && log.lines.some((said) => said.startsWith('evidence:'))

const TAKEN_OVER =
  /^The lock was taken over: this run stops here\. This run did not move traffic: users are on \S+ \(green\)$/
const MOVED_AND_TAKEN = /^The lock was taken over: this run stops here\. Users are on 1\.0\.0 \(blue\) now$/
const UNFIT = /^1 of 1 checks did not pass.* Traffic did not move: users are on 1\.0\.0 \(blue\)$/

const cases: Case[] = [
  {
    name: 'the apply of the idle color',
    when: (_, __, write) => write?.startsWith(`apply Deployment/${APP}-green`) === true,
    to: 'green',
    code: 5,
    message: TAKEN_OVER,
  },
  {
    name: 'the look at what live has by now',
    when: (line, { cluster }) =>
      looks(line) && cluster.object('Deployment', `${APP}-blue`).spec?.replicas === 3,
    says: grows,
    to: 'green',
    code: 5,
    message: TAKEN_OVER,
  },
  {
    name: 'the scaling to it',
    when: (line) => scales(line, 'green', 3),
    says: grows,
    to: 'green',
    code: 5,
    message: TAKEN_OVER,
  },
  {
    name: 'the look at what is given back of a color that failed',
    when: looksAgain,
    says: failing,
    to: 'green',
    code: 1,
    message: UNFIT,
  },
  {
    name: 'the look at a color that failed and is cleaned (--clean)',
    when: looksAgain,
    says: failing,
    clean: true,
    to: 'green',
    code: 1,
    message: UNFIT,
  },
  {
    name: 'its scaling down',
    when: (line) => scales(line, 'green', 0),
    says: failing,
    clean: true,
    to: 'green',
    code: 1,
    message: UNFIT,
  },
  {
    name: 'the giving back of its bounds',
    when: (line) => line.startsWith(`patch horizontalpodautoscaler ${APP}-green`),
    says: failing,
    to: 'green',
    code: 1,
    message: UNFIT,
  },
  {
    name: 'the recycling of the color that was left',
    when: (line) => line.startsWith(`patch deployment ${APP}-blue`),
    to: 'blue',
    code: 5,
    message: MOVED_AND_TAKEN,
  },
  {
    name: 'its scaling down (scale-down)',
    when: (line) => scales(line, 'blue', 0),
    settings: { afterSwitch: 'scale-down' },
    to: 'blue',
    code: 5,
    message: MOVED_AND_TAKEN,
  },
  {
    name: 'the look at what is given back of one that went live',
    when: (line, { log }) => looks(line) && log.steps.at(-1) === 'Close the record',
    to: 'blue',
    code: 5,
    message: MOVED_AND_TAKEN,
  },
]

describe('somebody goes back right before', () => {
  test.each(cases)('$name', async ({ when, to, settings, says, clean = false, code, message }) => {
    await using rehearsal = rehearse(settings)
    const { cluster } = rehearsal
    running(cluster, { blue: '1.0.0', green: '0.9.0' }, 'blue')
    const plan = await planned(rehearsal)
    let then: unknown = 'nobody went back'
    let gone = false
    cluster.intercept = async (line, write) => {
      if (gone || !when(line, rehearsal, write)) return undefined
      gone = true
      await wentBack(rehearsal, to)
      then = partsOf(rehearsal, to)
      return undefined
    }
    const failed = await failure(
      deploy(rehearsal.world, { ...request, clean }, plan, gates(says?.(rehearsal))),
    )
    expect(partsOf(rehearsal, to)).toEqual(then)
    expect(cluster.selector()).toEqual(live(to))
    expect(failed.message).toMatch(message)
    expect(failed.code).toBe(code)
  })
})
