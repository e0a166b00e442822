/** Who is told of real runs: while every receiver is dead, when they are back, and when a run was killed. */
import { expect } from 'bun:test'
import { APP } from '../../examples/rehearsal/workspace.ts'
import { json, receiver, type Receiver } from '../lib/notify/receivers.ts'
import { exits, rehearsal, safely } from './suite.ts'

const stage = rehearsal()

const SECRET = `whsec_${Buffer.from('x'.repeat(24)).toString('base64')}`

const hook = (url: string) => ({ kind: 'webhook', url, secret: 'HOOK_SECRET' })

const told = ({ got }: Receiver): string[] =>
  got.map((one) => `${json(one).data.facts[1].value} ${json(one).data.state}`)

safely(
  'three dead channels hold nothing up; what is due is sent when they are back; a killed run is told of',
  async () => {
    let away = true
    await using server = receiver(async ({ path }) => {
      if (away && path === '/hangs') await Bun.sleep(20_000)
      return away ? new Response('', { status: 500 }) : new Response('ok')
    })
    const notify = {
      hangs: hook(`${server.url}/hangs`),
      broken: hook(`${server.url}/broken`),
      away: { ...hook('http://127.0.0.1:1'), on: ['info', 'warning'] },
    }
    const workspace = await stage().open({ replicas: 1 }, '1.0.0', '2.0.0')
    const env = { HOOK_SECRET: SECRET }
    const deploy = async (version: string) =>
      await workspace.run('deploy', ['--yes', '--version', version], { env })
    exits(await deploy('1.0.0'), 0)
    const went = exits(await deploy('2.0.0'), 0)
    expect(went.stderr).not.toContain('was not told')
    const story = await workspace.kubectl('describe', 'service', APP)
    for (const reason of [
      'DeploymentStarted',
      'DeploymentVerified',
      'TrafficSwitched',
      'DeploymentSucceeded',
    ])
      expect(story).toContain(reason)

    workspace.configure({ notify })
    const deaf = exits(await deploy('1.0.0'), 0)
    for (const name of ['hangs', 'broken', 'away'])
      expect(deaf.stderr).toContain(`${name} (webhook) was not told`)
    expect(deaf.stderr + deaf.stdout).not.toContain('whsec_')
    console.info(`${Math.round(went.ms)} ms without channels, ${Math.round(deaf.ms)} ms with three dead ones`)

    away = false
    server.got.length = 0
    const back = { ...notify, away: hook(`${server.url}/away`) }
    workspace.configure({ notify: back })
    exits(await workspace.run('notify', [], { env }), 0)
    const states = ['started', 'verified', 'switched', 'succeeded']
    expect(told(server).toSorted()).toEqual(
      [...states, ...states, ...states].map((state) => `2.0.0 (green) → 1.0.0 (blue) ${state}`).toSorted(),
    )
    expect((await workspace.run('notify', [], { env })).stderr).toContain('Nothing is due')

    server.got.length = 0
    const killed = workspace.start('deploy', ['--env', 'production', '--yes', '--version', '2.0.0'], { env })
    while (!server.got.some(({ path }) => path === '/broken')) await Bun.sleep(20)
    killed.signal('SIGKILL')
    await killed.ended
    exits(await workspace.run('deployment-status', ['--repair'], { env }), 0)
    const after = told(server).filter((line) => line.endsWith('stopped'))
    expect(after.length).toBe(3)
  },
)
