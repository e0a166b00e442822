/** Whether this machine's clock and the API server's tell the same time: windows and the age of a proof are read off it. */
import { z } from 'zod'
import { seconds } from '../clock.ts'
import { create } from '../cluster/commands.ts'
import { failed, passed, type Finding } from './box.ts'
import type { Facts } from './facts.ts'

const stamped = z.object({ metadata: z.object({ creationTimestamp: z.string() }) })

/** The server's clock is read from an object that is not kept, in whole seconds. */
export async function judgeClock({ world, settings }: Pick<Facts, 'world' | 'settings'>): Promise<Finding> {
  const { kubectl, clock, environment } = world
  const metadata = { name: `${environment.app}-clock` }
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata })
  const before = clock.now()
  const [answer] = await kubectl.objects([...create(), '--dry-run=server'], stamped, { input })
  return judgeSkew(before, Date.parse(answer?.metadata.creationTimestamp ?? ''), clock.now(), settings.clock)
}

/** Pure; all in ms. The server answered between two readings of this clock, within the second that it names. */
export function judgeSkew(before: number, server: number, after: number, most: number): Finding {
  const next = 'set this clock by NTP, or --ack clock "<reason>"'
  if (Number.isNaN(server)) return { verdict: 'unknown', why: 'the API server named no time', next }
  const skew = Math.max(0, server - after, before - (server + 999))
  const how = server > after ? 'behind' : 'ahead of'
  if (skew <= most) return passed(`no more than ${seconds(most)} from the API server's`)
  return failed(`this clock is ${seconds(skew)} ${how} the API server's`, next)
}
