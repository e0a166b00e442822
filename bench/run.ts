/**
 * `make bench`: how long things take beside the plain commands that people use instead, each pair in one run on
 * the same cluster: a sandbox, or with E2E_CLUSTER=real the one of KUBECONFIG. Written to bench/results-*.md.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { output, ROOT, run } from '../examples/rehearsal/program.ts'
import { startRehearsal, type Rehearsal } from '../examples/rehearsal/rehearsal.ts'
import type { Workspace } from '../examples/rehearsal/workspace.ts'
import { median, program, untilAnswered, untilValue, writeResults, type Times } from './measure.ts'

const PAIRS = 9
const APP = 'chatbot-platform'
const rows: [what: string, value: string, aim: string][] = []

function add(what: string, value: string, aim = ''): void {
  rows.push([what, value, aim])
  console.error(`${what}: ${value}${aim && ` (aim ${aim})`}`)
}

/** Where a Service says which color it leads to. */
const COLOR = '.spec.selector.color'

const ms = (value: number): string => `${Math.round(value)} ms`
const ratio = (a: number, b: number): string => `${(a / b).toFixed(2)} ×`
const medians = (times: readonly Times[]): Times => ({
  answered: median(times.map(({ answered }) => answered)),
  done: median(times.map(({ done }) => done)),
})

/** A Service that nobody uses, to be patched by the bare command. */
async function bareService(workspace: Workspace): Promise<void> {
  await workspace.kubectl('create', 'service', 'clusterip', 'bare', '--tcp=80')
  await workspace.kubectl('patch', 'service', 'bare', '-p', '{"spec":{"selector":{"color":"green"}}}')
}

/** A rollback, and the patch that somebody would make by hand instead, in turn, both colors at full strength. */
async function rollbacks(
  workspace: Workspace,
  versions: { blue: string; green: string },
  pairs = PAIRS,
): Promise<{ ours: Times; bare: Times }> {
  const ours: Times[] = []
  const bare: Times[] = []
  const live = await workspace.kubectl('get', 'service', APP, '-o', 'jsonpath={.spec.selector.color}')
  let color: 'blue' | 'green' = live === 'blue' ? 'green' : 'blue'
  const next = async (): Promise<void> => {
    color = color === 'blue' ? 'green' : 'blue'
    await workspace.kubectl('rollout', 'status', `deployment/${APP}-${color}`, '--timeout=300s')
  }
  for (let i = 0; i < pairs; i++) {
    const flags = ['--env', 'production', '--yes', '--to-version', versions[color]]
    ours.push(await untilAnswered(workspace, color, () => workspace.start('rollback-deployment', flags)))
    await next()
    const patch = ['patch', 'service', APP, '-p', JSON.stringify({ spec: { selector: { color } } })]
    const byHand = program(workspace, 'kubectl', '-n', workspace.namespace, ...patch)
    bare.push(await untilAnswered(workspace, color, byHand))
    await next()
  }
  return { ours: medians(ours), bare: medians(bare) }
}

function addRollback(name: string, { ours, bare }: { ours: Times; bare: Times }): void {
  add(
    `${name}: kubectl patch by hand, until the color answers / done`,
    `${ms(bare.answered)} / ${ms(bare.done)}`,
  )
  const times = `${ms(ours.answered)}, ${ratio(ours.answered, bare.answered)}`
  add(`${name}: rollback, until the color answers`, times, '≤ 2.5 ×')
  add(`${name}: rollback, done: proven, verified, nobody left behind`, ms(ours.done))
}

/** What people write instead: apply, rollout status, patch. The manifests are rendered beforehand. */
async function plainScript(workspace: Workspace, color: string, version: string): Promise<string[]> {
  const folder = join(workspace.folder, `plain-${color}-${version}`)
  mkdirSync(folder, { recursive: true })
  const kustomization = {
    namespace: workspace.namespace,
    nameSuffix: `-plain-${color}`,
    resources: ['../overlay/painted'],
    images: [{ name: APP, newName: workspace.images.name, newTag: version }],
    labels: [{ pairs: { app: `${APP}-plain`, color }, includeSelectors: true }],
    commonAnnotations: { run: version },
  }
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization))
  writeFileSync(join(folder, 'all.yaml'), await output(['kubectl', 'kustomize', folder]))
  const k = `kubectl -n ${workspace.namespace}`
  const patch = JSON.stringify({ spec: { selector: { color: `${color}-${version}` } } })
  const lines = [
    `${k} apply -f ${folder}/all.yaml`,
    `${k} rollout status deployment/${APP}-plain-${color} --timeout=120s`,
    `${k} patch service bare -p '${patch}'`,
  ]
  return ['bash', '-euc', lines.join('\n')]
}

/** A deployment up to its switch, and the plain script; gates and the witness's look before are taken off. */
async function deployments(rehearsal: Rehearsal, workspace: Workspace): Promise<void> {
  const ours: number[] = []
  const plain: number[] = []
  const whole: number[] = []
  for (let i = 0; i < 5; i++) {
    const color = i % 2 === 0 ? 'green' : 'blue'
    const version = await rehearsal.images.push(`2.${i}.0`)
    const command = await plainScript(workspace, color, version)
    const bare = {
      object: 'service/bare',
      part: COLOR,
      is: (value: string) => value === `${color}-${version}`,
    }
    plain.push(await untilValue(workspace, bare, program(workspace, ...command)))
    const live = await workspace.kubectl('get', 'service', APP, '-o', 'jsonpath={.spec.selector.color}')
    const next = live === 'blue' ? 'green' : 'blue'
    const flags = ['--env', 'production', '--yes', '--version', version]
    const began = performance.now()
    const moved = { object: `service/${APP}`, part: COLOR, is: (value: string) => value === next }
    const patched = await untilValue(workspace, moved, () => workspace.start('deploy', flags))
    whole.push(performance.now() - began)
    ours.push(patched - (await gateTime(workspace)))
  }
  add('deploy: plain script (apply, rollout status, patch), until patched', ms(median(plain)))
  add(
    'deploy: until patched, gates aside',
    `${ms(median(ours))}, ${ratio(median(ours), median(plain))}`,
    '≤ 1.3 ×',
  )
  add('deploy: whole process, with gates, drain and recycling', ms(median(whole)))
}

/** From the command to its lock: everything that is read, rendered and compared before. */
async function locks(rehearsal: Rehearsal, workspace: Workspace): Promise<void> {
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    const version = await rehearsal.images.push(`4.${i}.0`)
    const flags = ['--env', 'production', '--yes', '--until', 'verified', '--version', version]
    const held = {
      object: `lease/${APP}-deploy`,
      part: '.spec.holderIdentity',
      is: (value: string) => value !== '',
    }
    times.push(await untilValue(workspace, held, () => workspace.start('deploy', flags)))
  }
  add('deploy: from the command to its lock', ms(median(times)), '≤ 500 ms')
}

/** ms that the newest record's preview gate took, and the witness before the switch (300 ms in a rehearsal). */
async function gateTime(workspace: Workspace): Promise<number> {
  const { stdout } = await workspace.run('deployment-history', ['--limit', '1', '--json'])
  const [record]: [{ steps: { name: string; ms?: number }[] }] = JSON.parse(stdout)
  const gate = record.steps.find(({ name }) => name.startsWith('Verify') && name.includes('preview'))
  if (gate?.ms === undefined) throw new Error('the newest record has no gate')
  return gate.ms + 300
}

/** Counts kubectl processes with a kubectl of our own, first on PATH. */
async function processes(rehearsal: Rehearsal, workspace: Workspace): Promise<void> {
  const bin = join(workspace.folder, 'bin')
  const log = join(bin, 'log')
  const real = (await output(['which', 'kubectl'])).trim()
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'kubectl'), `#!/bin/sh\necho "$*" >> ${log}\nexec ${real} "$@"\n`)
  chmodSync(join(bin, 'kubectl'), 0o755)
  const env = { PATH: `${bin}:${process.env.PATH}` }
  const count = async (begin: Promise<{ code: number; stderr: string }>): Promise<number> => {
    writeFileSync(log, '')
    const { code, stderr } = await begin
    if (code !== 0) throw new Error(stderr)
    return readFileSync(log, 'utf8').trim().split('\n').length
  }
  const version = await rehearsal.images.push('3.0.0')
  const deploy = await count(workspace.run('deploy', ['--yes', '--version', version], { env }))
  add('kubectl processes in a deploy (waiting for pods included)', String(deploy))
  const rollback = await count(workspace.run('rollback-deployment', ['--yes'], { env }))
  add('kubectl processes in a rollback', String(rollback))
}

async function help(): Promise<void> {
  const times: number[] = []
  for (let i = 0; i < PAIRS; i++)
    times.push((await run([process.execPath, 'scripts/deploy.ts', '--help'])).ms)
  add('deploy.ts --help', ms(median(times)), '≤ 100 ms')
}

async function sandboxStart(): Promise<void> {
  const times: number[] = []
  let memory = 0
  for (let i = 0; i < 5; i++) {
    const began = performance.now()
    const child = Bun.spawn([process.execPath, 'sandbox/start.ts'], {
      cwd: ROOT,
      stdout: 'pipe',
      stderr: 'ignore',
    })
    const reader = child.stdout.getReader()
    await reader.read()
    times.push(performance.now() - began)
    memory = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
    child.kill('SIGTERM')
    await child.exited
  }
  add('sandbox: start until its line is printed', ms(median(times)), '≤ 500 ms')
  add('sandbox: memory right after', `${Math.round(memory)} MB`)
}

/** Five hundred finished records, made by hand. */
async function manyRecords(workspace: Workspace): Promise<void> {
  const [newest] = JSON.parse((await workspace.run('deployment-history', ['--limit', '1', '--json'])).stdout)
  const items = Array.from({ length: 500 }, (_, i) => {
    const id = `00000000000000000000000${String(i).padStart(3, '0')}`
    return {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: `${APP}-deploy-${id}`,
        namespace: workspace.namespace,
        labels: { 'deploy-scripts/record': APP, 'deploy-scripts/outcome': 'succeeded' },
      },
      data: { record: JSON.stringify({ ...newest, id }) },
    }
  })
  const file = join(workspace.folder, 'records.json')
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  await workspace.kubectl('create', '--validate=false', '-f', file, '-o', 'name')
}

/** The same with two hundred pods: processes of the smallest application. */
async function manyPods(rehearsal: Rehearsal): Promise<void> {
  const tiny = async (version: string): Promise<string> => {
    const tag = `${rehearsal.images.name}:${version}`
    const variables = ['--env', `APP_VERSION=${version}`]
    await output([
      process.execPath,
      'sandbox/push.ts',
      tag,
      ...variables,
      '--path',
      `/app=${join(ROOT, 'bench')}`,
      '--',
      'bun',
      '/app/tiny.ts',
    ])
    return version
  }
  const settings = {
    smoke: [{ name: 'alive', path: '/health', expect: {} }],
    timeouts: { rollout: '5m', ready: '3m' },
  }
  const workspace = await rehearsal.open({ replicas: 100, settings })
  await bareService(workspace)
  for (const version of ['9.0.0', '9.1.0']) {
    const { code, stderr } = await workspace.run('deploy', ['--yes', '--version', await tiny(version)], {
      within: 600_000,
    })
    if (code !== 0) throw new Error(stderr)
  }
  addRollback('200 pods', await rollbacks(workspace, { blue: '9.0.0', green: '9.1.0' }, 3))
  await workspace.close()
}

async function main(): Promise<void> {
  const rehearsal = await startRehearsal()
  try {
    await help()
    await sandboxStart()
    const workspace = await rehearsal.open(
      { settings: { history: 1000, afterSwitch: 'keep' } },
      '1.0.0',
      '1.1.0',
    )
    await bareService(workspace)
    for (const version of ['1.0.0', '1.1.0']) {
      const { code, stderr } = await workspace.deploy(version)
      if (code !== 0) throw new Error(stderr)
    }
    addRollback('4 pods', await rollbacks(workspace, { blue: '1.0.0', green: '1.1.0' }))
    await manyRecords(workspace)
    addRollback('4 pods, 500 records', await rollbacks(workspace, { blue: '1.0.0', green: '1.1.0' }))
    await deployments(rehearsal, workspace)
    await locks(rehearsal, workspace)
    await processes(rehearsal, workspace)
    if (rehearsal.cluster.kind === 'sandbox') await manyPods(rehearsal)
    const where = rehearsal.cluster.kind === 'sandbox' ? 'the sandbox' : 'a real cluster'
    writeResults(rehearsal.cluster.kind, `Times on ${where}`, ['what', 'measured', 'aim'], rows)
  } finally {
    await rehearsal.close()
  }
}

await main()
