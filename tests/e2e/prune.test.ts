/** What left the overlay leaves the color, and does not hold the next release back. */
import { expect } from 'bun:test'
import type { Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely } from './suite.ts'

const stage = rehearsal()

const autoscalers = async (workspace: Workspace): Promise<string[]> =>
  (await workspace.kubectl('get', 'hpa', '-o', 'name')).trim().split('\n')

safely('an autoscaler that left the overlay does not hold the next release at its bounds', async () => {
  const settings = { afterSwitch: 'keep' }
  const autoscaler = { min: 1, max: 2 }
  const workspace = await stage().open({ replicas: 1, autoscaler, settings }, '1.0.0', '2.0.0')
  exits(await workspace.deploy('1.0.0'), 0)
  exits(await workspace.deploy('2.0.0'), 0)
  workspace.overlay({ replicas: 3, autoscaler: undefined })
  const { stderr } = exits(await workspace.deploy('1.0.0'), 0)
  expect(stderr).toContain('HorizontalPodAutoscaler chatbot-platform-blue came with 1.0.0 and has left')
  expect(await autoscalers(workspace)).toEqual(['horizontalpodautoscaler.autoscaling/chatbot-platform-green'])
})
