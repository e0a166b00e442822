import { expect, test } from 'bun:test'
import { freeNodePorts } from '../../../examples/rehearsal/ports.ts'
import { output, ROOT, type Finished } from '../../../examples/rehearsal/program.ts'

/** So many that two who choose at random meet, and few enough that the range is not used up. */
const MANY = 300

/** A cluster without a Service. */
const empty = {
  kubectl: (): Promise<Finished> => Promise.resolve({ code: 0, stdout: '', stderr: '', ms: 0 }),
}

test('two processes that rehearse at the same time never get the same port', async () => {
  const ours = await freeNodePorts(empty, MANY)
  const program = `
    import { freeNodePorts } from '${ROOT}/examples/rehearsal/ports.ts'
    const empty = { kubectl: async () => ({ code: 0, stdout: '', stderr: '', ms: 0 }) }
    console.log(JSON.stringify(await freeNodePorts(empty, ${MANY})))`
  const theirs: number[] = JSON.parse(await output([process.execPath, '-e', program]))
  expect([ours.length, theirs.length]).toEqual([MANY, MANY])
  expect(theirs.filter((port) => ours.includes(port))).toEqual([])
})
