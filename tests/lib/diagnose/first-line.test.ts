/** A failed run is told where to look first, and nothing else of it changes: not its code, not its time by much. */
import { expect, test } from 'bun:test'
import { withFirstLook } from '../../../lib/diagnose/first-line.ts'
import { DeployError, type ExitCode } from '../../../lib/errors.ts'
import { rehearse, running, type Rehearsal } from '../world.ts'

const failing = (code: ExitCode) => {
  const error = new DeployError('green is broken', code)
  error.record = { id: 'r' }
  return error
}

function live(): Rehearsal {
  const stage = rehearse()
  running(stage.cluster, { blue: '1.0.0', green: '1.1.0' }, 'blue')
  return stage
}

/** What is thrown is the very error that was thrown, with its exit code. */
async function thrown(work: Promise<unknown>, error: Error): Promise<string> {
  const caught: unknown = await work.catch((reason: unknown) => reason)
  expect(caught).toBe(error)
  return error.message
}

test('what works is handed on, and nothing is read', async () => {
  await using stage = live()
  expect(await withFirstLook(stage.world, async () => 7)).toBe(7)
  expect(stage.cluster.asked).toEqual([])
})

test('a release that cannot start: its cause and its command', async () => {
  await using stage = live()
  stage.cluster.put({
    ...stage.cluster.object('Service', 'chat'),
    spec: { selector: { app: 'chat', color: 'red' } },
  })
  const error = failing(1)
  const message = await thrown(
    withFirstLook(stage.world, () => Promise.reject(error)),
    error,
  )
  expect(message).toMatch(
    /^green is broken\nFirst look: Service chat selects no color\n {2}kubectl --context=test /,
  )
  expect(error.exitCode).toBe(1)
})

test.each([3, 4] as const)(
  'exit %d ends with where users are: the first look comes before it',
  async (code) => {
    await using stage = live()
    stage.cluster.put({
      ...stage.cluster.object('Service', 'chat'),
      spec: { selector: { app: 'chat', color: 'red' } },
    })
    const error = failing(code)
    const message = await thrown(
      withFirstLook(stage.world, () => Promise.reject(error)),
      error,
    )
    expect(message).toBe('green is broken')
    expect(stage.log.warnings).toEqual([expect.stringMatching(/^First look: Service chat selects no color/)])
  },
)

test.each([2, 5, 6, 130] as const)('exit %d has nothing to be looked for', async (code) => {
  await using stage = live()
  const error = failing(code)
  expect(
    await thrown(
      withFirstLook(stage.world, () => Promise.reject(error)),
      error,
    ),
  ).toBe('green is broken')
  expect(stage.cluster.asked).toEqual([])
})

test('nothing is read before anything was begun, nor for a bug, nor after an interrupt', async () => {
  await using stage = live()
  for (const error of [new DeployError('no such image'), new Error('a bug')])
    await thrown(
      withFirstLook(stage.world, () => Promise.reject(error)),
      error,
    )
  const error = failing(1)
  const interrupted = async () => {
    stage.interrupt()
    throw error
  }
  expect(await thrown(withFirstLook(stage.world, interrupted), error)).toBe('green is broken')
  expect(stage.cluster.asked).toEqual([])
})

test('a cluster that does not answer costs an interrupt nothing, and the run keeps its error', async () => {
  await using stage = live()
  stage.cluster.intercept = () => new Promise(() => {})
  const error = failing(1)
  const work = withFirstLook(stage.world, () => Promise.reject(error))
  setTimeout(stage.interrupt, 50)
  const began = performance.now()
  expect(await thrown(work, error)).toBe('green is broken')
  expect(performance.now() - began).toBeLessThan(4000)
})
