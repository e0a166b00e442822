/** Who looks at a deployment sees both colors, each pod, and every metric, or that it is unknown. */
import { expect } from 'bun:test'
import { join } from 'node:path'
import { asAccount } from '../../examples/rehearsal/kubeconfigs.ts'
import { output, ROOT } from '../../examples/rehearsal/program.ts'
import { exits, rehearsal, safely } from './suite.ts'

const stage = rehearsal()

interface Board {
  live: string
  checks: { verdict: string }[]
  pods: { color: string; ready: boolean; failed: string[]; asked: number; unknown?: string }[]
  measured: { by: string; problems: string[]; values: Record<string, Record<string, number>> }
}

safely(
  'both colors are looked at by way of the API server, and what is not known is said to be so',
  async () => {
    const workspace = await stage().open({ replicas: 2 }, '1.0.0')
    await workspace.apply(await output(['kubectl', 'kustomize', join(ROOT, 'k8s/rbac')]))
    exits(await workspace.deploy('1.0.0'), 0)
    const traffic = await workspace.traffic(20, 2)
    const env = asAccount(workspace, 'deployer')
    const seen = exits(await workspace.run('monitor-deployment', ['--json'], { env }), 0)
    const board: Board = JSON.parse(seen.stdout)
    const live = board.live.split(' ')[0] ?? ''
    const idle = live === 'blue' ? 'green' : 'blue'
    expect(board.checks.every(({ verdict }) => verdict === 'passed')).toBe(true)
    expect(board.pods.map(({ color, ready, failed }) => ({ color, ready, failed }))).toEqual(
      [0, 1].map(() => ({ color: live, ready: true, failed: [] })),
    )
    const { by, problems, values } = board.measured
    expect({ by, problems }).toEqual({ by: "the pods' own /metrics", problems: [] })
    expect(values['ready']).toEqual({ [live]: 2, [idle]: 0 })
    expect(values['requests']?.[live]).toBeGreaterThan(1)
    expect(values['memory']?.[live]).toBeGreaterThan(10e6)
    expect(values['requests']).not.toHaveProperty(idle)
    const lines = seen.stderr.trimEnd().split('\n')
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    expect(lines.find((line) => line.startsWith('Network'))).toMatch(/unknown +unknown$/)
    expect(lines.find((line) => line.startsWith('Requests '))).toMatch(/unknown/)
    // Who may not reach into pods still sees the rest.
    const less = await workspace.run('monitor-deployment', ['--json'], {
      env: asAccount(workspace, 'viewer'),
    })
    const narrow: Board = JSON.parse(exits(less, 0).stdout)
    expect(narrow.pods.every(({ unknown }) => unknown?.includes('pods/proxy'))).toBe(true)
    expect(narrow.measured.problems.join()).toContain('may not get pods/proxy')
    expect(narrow.measured.values['ready']).toEqual({ [live]: 2, [idle]: 0 })
    await traffic.stop()
  },
)
