import { expect, test } from 'bun:test'
import { freeNodePorts, isFree } from '../../../examples/rehearsal/ports.ts'
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
    import { freeNodePorts, isFree } from '${ROOT}/examples/rehearsal/ports.ts'
    const empty = { kubectl: async () => ({ code: 0, stdout: '', stderr: '', ms: 0 }) }
    console.log(JSON.stringify(await freeNodePorts(empty, ${MANY})))`
  const theirs: number[] = JSON.parse(await output([process.execPath, '-e', program]))
  expect([ours.length, theirs.length]).toEqual([MANY, MANY])
  expect(theirs.filter((port) => ours.includes(port))).toEqual([])
})

const iptables = Bun.which('iptables', { PATH: `${process.env.PATH}:/usr/sbin` }) ?? ''
const mayRedirect = iptables && Bun.spawnSync([iptables, '-t', 'nat', '-S'], { stderr: 'ignore' }).success

/** What kube-proxy leaves in the kernel when its cluster is gone: connections to a node port go to a pod that was. */
test.skipIf(!mayRedirect)('a port that the kernel leads elsewhere is not free', async () => {
  const [port = 0] = await freeNodePorts(empty, 1)
  expect(await isFree(port)).toBe(true)
  const rule = ['OUTPUT', '-p', 'tcp', '-d', '127.0.0.1', '--dport', String(port), '-j', 'DNAT']
  const elsewhere = [...rule, '--to-destination', '192.0.2.1:80']
  await output([iptables, '-t', 'nat', '-I', ...elsewhere])
  try {
    expect(await isFree(port)).toBe(false)
  } finally {
    await output([iptables, '-t', 'nat', '-D', ...elsewhere])
  }
})
