/**
 * The commands that guides have alone on a line, typed as they stand, one after the other. Only where they lead to is
 * this test's own: its cluster, its namespace, its deploy.yaml; and who is asked answers yes.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { output, ROOT, run, until, type Finished } from '../../examples/rehearsal/program.ts'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { NOT_HERE } from '../docs/commands.ts'
import { commandsIn, read } from '../docs/markdown.ts'
import { inPods, variable } from './injections.ts'
import { REAL, exits, rehearsal } from './suite.ts'

// The machine may be busy with other things.
setDefaultTimeout(300_000)

const stage = rehearsal()
let workspace: Workspace
let home: string
const env = (): Record<string, string> => ({
  ...workspace.cluster.env,
  HOME: home,
  KUBECONFIG: join(home, 'kubeconfig'),
  VERIFIER_PASSWORD: 'x',
  BYSTANDER_PASSWORD: 'x',
  DATABASE_URL: 'postgres://chat:pw@db.example.com/chat',
})

/** What it says of itself: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml */
const STATUS = {
  cluster: { status: 'disabled' },
  versionInfo: { version: '0.28.1', revision: '', branch: '', buildUser: '', buildDate: '', goVersion: '' },
  config: { original: '' },
  uptime: '2026-11-23T08:00:00.000Z',
}

/** An Alertmanager, as far as `amtool silence add` asks one. */
const silenced: unknown[] = []
const alertmanager = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: async (request) => {
    if (request.method === 'GET') return Response.json(STATUS)
    silenced.push(await request.json())
    return Response.json({ silenceID: 'b1a4d0b2-0000-4000-8000-000000000001' })
  },
})

/** 1.0.0 is warm in blue, 2.0.0 live in green. */
beforeAll(async () => {
  workspace = await stage().openForAll({ replicas: 1 }, '1.0.0', '2.0.0')
  home = join(workspace.folder, 'home')
  mkdirSync(home)
  copyFileSync(workspace.cluster.kubeconfig, join(home, 'kubeconfig'))
  await output(['kubectl', 'config', 'set-context', '--current', `--namespace=${workspace.namespace}`], {
    env: env(),
  })
  await workspace.bring('1.0.0', '2.0.0')
}, 900_000)
afterAll(async () => await alertmanager.stop(true))

const guide = (name: string): string[] =>
  commandsIn(read(`docs/${name}`)).filter((command) => !Object.hasOwn(NOT_HERE, command))

async function typed(command: string): Promise<Finished> {
  return await run(['bash', '-euo', 'pipefail', '-c', command], { cwd: ROOT, env: env() })
}

/** In this workspace instead of production. */
function here(command: string): string {
  const asked = / (rollback-deployment|lock)\.ts /.test(command.replace('scripts/', ' ')) ? ' --yes' : ''
  return command
    .replaceAll('chatbot-platform-prod', workspace.namespace)
    .replace(/^amtool .*$/, `$& --alertmanager.url=http://127.0.0.1:${alertmanager.port}`)
    .replace(/^(bun scripts\/.* --env production.*)$/, `$1 --config ${workspace.config}${asked}`)
}

/** What has to have happened before, and what is put back after; in between is the command. */
const around: Readonly<Record<string, () => Promise<() => Promise<unknown>>>> = {
  // A container of the color has ended before; those of its other pods have not.
  '--previous': async () => {
    await workspace.kubectl('scale', `deployment/${APP}-green`, '--replicas=1')
    const remove = await inPods('green', variable('FAULT_CRASH_AT_START', '1'))(workspace)
    const restarts = 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'
    await until('a restart', async () => {
      const counts = await workspace.kubectl('get', 'pods', '-l', `app=${APP},color=green`, '-o', restarts)
      return counts.split(' ').some((count) => Number(count) > 0) || undefined
    })
    return remove
  },
  // The release of before is live again.
  '--now': async () => {
    await workspace.run('lock', ['--release', '--yes'])
    exits(await workspace.deploy('2.0.0', '--allow-failed-digest', 'the guide goes back twice'), 0)
    return () => Promise.resolve()
  },
}

/** What Alertmanager's package brings. */
const amtool = Bun.which('amtool') !== null

const follow = (command: string, number: number) =>
  test.skipIf(!amtool && command.startsWith('amtool '))(
    `${number + 1}: ${command.split('\n')[0]}`,
    async () => {
      const [, prepare] = Object.entries(around).find(([flag]) => command.includes(` ${flag} `)) ?? []
      const after = await prepare?.()
      try {
        exits(await typed(here(command)), 0)
      } finally {
        await after?.()
      }
    },
  )

describe.skipIf(REAL)('the Kubernetes guide', () => {
  beforeAll(async () => {
    // The application that runs without colors.
    const template = JSON.parse(
      await workspace.kubectl('get', `deployment/${APP}-green`, '-o', 'jsonpath={.spec.template}'),
    )
    const labels = { app: 'shop' }
    const shop = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'shop', labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { ...template, metadata: { labels } },
      },
    }
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'shop', labels },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 'http' }] },
    }
    for (const object of [shop, service]) await workspace.apply(object)
  })

  const commands = guide('kubernetes-configuration-guide.md')
  test.each(commands.map((command, number) => [number + 1, command] as const))(
    '%d: %s',
    async (_, command) => {
      exits(await typed(command), 0)
    },
  )

  test('ends with an environment that is set up, and an application that has its first color', async () => {
    const { cluster } = workspace
    const production = await cluster.kubectl(
      '-n',
      'chatbot-platform-prod',
      'get',
      'secret,serviceaccount',
      '-o',
      'name',
    )
    for (const name of [
      'secret/chatbot-platform-database',
      'serviceaccount/deployer',
      'serviceaccount/viewer',
    ])
      expect(production.stdout.split('\n')).toContain(name)
    const selector = await workspace.kubectl('get', 'service', 'shop', '-o', 'jsonpath={.spec.selector}')
    expect(JSON.parse(selector)).toEqual({ app: 'shop', color: 'blue' })
    const left = await workspace.kubectl('get', 'deployments', '-l', 'app=shop', '-o', 'name')
    expect(left.trim()).toBe('deployment.apps/shop-blue')
    await workspace.kubectl('delete', 'deployment,service', '-l', 'app=shop')
  })
})

describe.skipIf(REAL)('the monitoring guide', () => {
  guide('monitoring-alerting-guide.md').forEach(follow)

  test('has gone back, held deployments up, and silenced an alarm', async () => {
    const silence = {
      comment: 'index is being built',
      matchers: [{ name: 'alertname', value: 'DatabaseSlow' }],
    }
    expect(silenced).toMatchObject(amtool ? [silence] : [])
    const records = await workspace.history()
    expect(records.filter(({ kind }) => kind === 'rollback')).toHaveLength(2)
    expect(await workspace.selector()).toMatchObject({ color: 'blue' })
  })
})

describe.skipIf(REAL)('the playbook, where no script can be run', () => {
  const commands = guide('incident-response-playbook.md')
  test.each(commands)('%s', async (command) => {
    expect(commands).toHaveLength(1)
    await workspace.kubectl('patch', 'service', APP, '-p', '{"spec":{"selector":{"color":"green"}}}')
    exits(await typed(here(command)), 0)
    expect(await workspace.selector()).toEqual({ app: APP, color: 'blue' })
  })
})
