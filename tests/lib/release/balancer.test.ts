/** A load balancer before the cluster, a part of which never follows: whoever it keeps on the old color is not forgotten. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { deploy } from '../../../lib/release/blue-green.ts'
import { APP, live } from '../objects.ts'
import { failure, gates, moments, rehearse, running, type Rehearsal } from '../world.ts'
import { planned, request, stored } from './setting.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

/** Once users are on green, every third new connection still gets blue: of the witness's, and of all others. */
function followsInPart({ app, cluster }: Rehearsal): void {
  const opened = { witness: 0, others: 0 }
  app.answer = ({ headers }) => {
    const who = headers.get('user-agent') === 'deploy-scripts-witness' ? 'witness' : 'others'
    const kept = who === 'witness' && headers.get('connection') !== 'close'
    const behind = !kept && opened[who]++ % 3 === 0
    return Response.json({ color: behind ? 'blue' : Reflect.get(Object(cluster.selector()), 'color') })
  }
}

async function deployed(rehearsal: Rehearsal): Promise<{ code: number | string; message: string }> {
  running(rehearsal.cluster, { blue: '1.0.0' }, 'blue')
  const plan = await planned(rehearsal)
  return await failure(deploy(rehearsal.world, request, plan, gates()))
}

describe('new connections that still meet the color which was left', () => {
  test('for as long as timeouts.reach: users are brought back', async () => {
    await using rehearsal = rehearse()
    followsInPart(rehearsal)
    const { code, message } = await deployed(rehearsal)
    expect(message).toMatch(
      /^New connections still met blue .* after the cluster had followed \(timeouts\.reach\)\. Rolled back: users are on 1\.0\.0 \(blue\) again$/,
    )
    expect(code).toBe(3)
    expect(rehearsal.cluster.selector()).toEqual(live('blue'))
  })

  test('while it is drained: it is not retired, and that is said', async () => {
    await using rehearsal = rehearse({ afterSwitch: 'scale-down' })
    const { app, clock, cluster, log } = rehearsal
    clock.during.set(moments.drain, async () => {
      followsInPart(rehearsal)
      // Time stands still: what is due is asked at once, and answered when nobody asks any more.
      let seen = -1
      while (seen !== app.all) {
        seen = app.all
        await Bun.sleep(50)
      }
    })
    expect(await deployed(rehearsal)).toEqual({ code: 0, message: '' })
    expect(log.warnings.join('\n')).toMatch(
      /^blue was not settled: \d+ new connections met another color than green while it was drained/,
    )
    expect(stored(rehearsal, request.id)).toMatchObject({ outcome: 'succeeded' })
    expect(cluster.object('Deployment', `${APP}-blue`).spec).toMatchObject({ replicas: 2 })
  })
})
