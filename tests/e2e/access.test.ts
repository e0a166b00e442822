/** What `k8s/rbac` grants is enough for everything, and less is told before anything is touched. */
import { expect } from 'bun:test'
import { join } from 'node:path'
import { asAccount } from '../../examples/rehearsal/kubeconfigs.ts'
import { output, ROOT } from '../../examples/rehearsal/program.ts'
import { APP, type Script, type Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely, unharmed } from './suite.ts'

const stage = rehearsal()

async function withRoles(wishes: { migration?: boolean; replicas?: number } = {}): Promise<Workspace> {
  const workspace = await stage().open(
    { autoscaler: { min: 1, max: 4 }, ...wishes },
    '1.0.0',
    '2.0.0',
    '3.0.0',
  )
  await workspace.apply(await output(['kubectl', 'kustomize', join(ROOT, 'k8s/rbac')]))
  return workspace
}

safely('S8: nothing here ever needs more than the Role deployer', async () => {
  const workspace = await withRoles({ migration: true })
  const env = asAccount(workspace, 'deployer')
  const ok = async (script: Script, ...flags: string[]) =>
    exits(await workspace.run(script, flags, { env }), 0)
  await ok('deploy', '--yes', '--version', '1.0.0')
  const traffic = await workspace.traffic(40, 4)
  await ok('deploy', '--yes', '--version', '2.0.0')
  await ok('rollback-deployment', '--yes')
  await ok('switch-traffic', '--to', 'green', '--yes', '--override', 'the rollback was an exercise')
  await ok('deploy', '--yes', '--version', '3.0.0')
  await workspace.kubectl('scale', 'deployment', `${APP}-green`, '--replicas=0')
  await ok('rollback-deployment', '--yes', '--to-version', '2.0.0')
  await ok('rollback-deployment', '--yes', '--to-version', '1.0.0')
  await ok('deployment-status', '--repair')
  await ok('deployment-history')
  await ok('verify-deployment')
  unharmed(await traffic.stop())
})

safely('S8: the Role viewer never can do more than look', async () => {
  const workspace = await withRoles({ replicas: 1 })
  await workspace.bring('1.0.0')
  const env = asAccount(workspace, 'viewer')
  exits(await workspace.run('deployment-status', [], { env }), 0)
  exits(await workspace.run('deployment-history', [], { env }), 0)
  const refused = exits(await workspace.run('deploy', ['--yes', '--version', '2.0.0'], { env }), 2)
  expect(refused.stderr).toContain('k8s/rbac/ holds the Role that a deployer needs')
})

const less: readonly [verb: string, group: string, resource: string][] = [
  ['patch', '', 'services'],
  ['create', '', 'configmaps'],
  ['patch', 'apps', 'deployments'],
  ['update', 'coordination.k8s.io', 'leases'],
  ['delete', 'batch', 'jobs'],
  ['get', '', 'pods/log'],
]

safely('S8: a verb that is missing is never found out halfway', async () => {
  const workspace = await withRoles({ replicas: 1, migration: true })
  await workspace.bring('1.0.0')
  const env = asAccount(workspace, 'deployer')
  const role: Role = JSON.parse(await workspace.kubectl('get', 'role', 'deployer', '-o', 'json'))
  const before = await workspace.resourceVersions()
  for (const [verb, group, resource] of less) {
    const rules = role.rules.flatMap((rule) => without(rule, verb, group, resource))
    await workspace.apply({ ...role, metadata: { name: 'deployer' }, rules })
    const refused = exits(await workspace.run('deploy', ['--yes', '--version', '2.0.0'], { env }), 2)
    expect(refused.stderr).toContain(`: ${verb} ${resource}${group && `.${group}`}. k8s/rbac/`)
  }
  expect(await workspace.resourceVersions()).toEqual(before)
})

interface Rule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
}

interface Role {
  rules: Rule[]
}

/** The same rule, split so that one verb is missing for one resource. */
function without(rule: Rule, verb: string, group: string, resource: string): Rule[] {
  if (!rule.apiGroups.includes(group) || !rule.resources.includes(resource)) return [rule]
  const others = { ...rule, resources: rule.resources.filter((name) => name !== resource) }
  const fewer = { ...rule, resources: [resource], verbs: rule.verbs.filter((name) => name !== verb) }
  return [others, fewer].filter(({ resources, verbs }) => resources.length > 0 && verbs.length > 0)
}
