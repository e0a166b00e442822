/** Mistakes of the person at the keyboard: one sentence, the right exit code, and nothing touched. */
import { expect, test } from 'bun:test'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renamed, unreachable } from '../../examples/rehearsal/kubeconfigs.ts'
import type { Finished } from '../../examples/rehearsal/program.ts'
import type { Script, Workspace } from '../../examples/rehearsal/workspace.ts'
import { exits, rehearsal, safely } from './suite.ts'

const stage = rehearsal()

const scripts: readonly Script[] = [
  'deploy',
  'rollback-deployment',
  'deployment-status',
  'deployment-history',
  'switch-traffic',
  'verify-deployment',
]

/** A file of its own, so that cases can run side by side. */
function file(workspace: Workspace, name: string, text: string): string {
  const path = join(workspace.folder, `${name}.yaml`)
  writeFileSync(path, text)
  return path
}

/** Where only these programs are. */
function pathWith(workspace: Workspace, ...programs: string[]): string {
  const folder = join(workspace.folder, 'bin')
  mkdirSync(folder, { recursive: true })
  for (const program of programs) symlinkSync(Bun.which(program) ?? program, join(folder, program))
  return folder
}

interface Mistake {
  name: string
  code: number
  says: RegExp
  run: (workspace: Workspace) => Promise<Finished>
}

const deploying = ['--env', 'production', '--yes', '--version', '1.0.0']

const inFile = (workspace: Workspace, path: string): Promise<Finished> =>
  workspace.start('deploy', ['--config', path, ...deploying]).ended

const mistakes: Mistake[] = [
  ...scripts.map((script) => ({
    name: `${script} without --env`,
    code: 2,
    says: /--env is required: production/,
    run: (workspace: Workspace) =>
      workspace.start(
        script,
        script === 'switch-traffic' ? ['--to', 'green'] : script === 'deploy' ? ['--version', '1'] : [],
      ).ended,
  })),
  ...scripts.map((script) => ({
    name: `${script} with an unknown flag`,
    code: 2,
    says: /Unknown option '--enviroment'.*Usage: bun scripts\//s,
    run: (workspace: Workspace) => workspace.start(script, ['--enviroment', 'production']).ended,
  })),
  {
    name: 'an unknown environment',
    code: 2,
    says: /deploy\.yaml has no environment "prod": it has production/,
    run: (workspace) => workspace.start('deploy', ['--env', 'prod', '--yes', '--version', '1.0.0']).ended,
  },
  {
    name: 'no configuration',
    code: 2,
    says: /nowhere\.yaml cannot be read/,
    run: (workspace) => inFile(workspace, 'nowhere.yaml'),
  },
  {
    name: 'broken YAML',
    code: 2,
    says: /broken\.yaml:4: Flow sequence/,
    run: (workspace) =>
      inFile(workspace, file(workspace, 'broken', 'app: a\nimage: b\nsmoke: [\nlock: 1s\n')),
  },
  {
    name: 'a setting that does not exist',
    code: 2,
    says: /unknown\.yaml:8: environments\.production\.drian: unknown setting/,
    run: (workspace) =>
      inFile(
        workspace,
        file(
          workspace,
          'unknown',
          'app: a\nimage: b\nenvironments:\n  production:\n    context: c\n    namespace: n\n    manifests: m\n    drian: 1s\n    url: http://x\n',
        ),
      ),
  },
  {
    name: 'a duration without a unit',
    code: 2,
    says: /number\.yaml:3: drain: /,
    run: (workspace) =>
      inFile(workspace, file(workspace, 'number', 'app: a\nimage: b\ndrain: 10\nenvironments: {}\n')),
  },
  {
    name: 'no version',
    code: 2,
    says: /--version or --image is required/,
    run: (workspace) => workspace.run('deploy', ['--yes']),
  },
  {
    name: 'nobody to ask',
    code: 2,
    says: /no terminal to ask for confirmation: pass --yes/,
    run: (workspace) => workspace.run('deploy', ['--version', '1.0.0']),
  },
  {
    name: 'a color that is none',
    code: 2,
    says: /--to is blue or green/,
    run: (workspace) => workspace.run('switch-traffic', ['--to', 'red', '--yes']),
  },
  {
    name: 'another context',
    code: 2,
    says: /production is deployed through the context "\S+", but the context is "elsewhere"/,
    run: (workspace) =>
      workspace.run('deploy', ['--yes', '--version', '1.0.0'], { env: renamed(workspace, 'elsewhere') }),
  },
  {
    name: 'another context on the command line',
    code: 2,
    says: /but the context is "staging"/,
    run: (workspace) => workspace.rollback('--context', 'staging'),
  },
  {
    name: 'a context that kubectl does not know',
    code: 2,
    says: /kubectl knows no context "\S+": add it to your kubeconfig/,
    run: (workspace) => workspace.run('deployment-status', [], { env: renamed(workspace, 'elsewhere') }),
  },
  {
    name: 'no cluster',
    code: 1,
    says: /The cluster of context "\S+" does not answer: /,
    run: (workspace) =>
      workspace.run('deploy', ['--yes', '--version', '1.0.0'], { env: unreachable(workspace) }),
  },
  {
    name: 'no kubectl',
    code: 2,
    says: /kubectl is not on PATH\. Install it: /,
    run: (workspace) =>
      workspace.run('deployment-status', [], { env: { PATH: pathWith(workspace, 'bash', 'ps') } }),
  },
  {
    name: 'a tag that was not pushed',
    code: 1,
    says: /The registry has no image \S+:9\.9\.9: build and push it first/,
    run: (workspace) => workspace.deploy('9.9.9'),
  },
  {
    name: 'no registry',
    code: 1,
    says: /The registry 127\.0\.0\.1:1 does not answer/,
    run: (workspace) => workspace.run('deploy', ['--yes', '--image', '127.0.0.1:1/app:1']),
  },
  {
    name: 'no such record',
    code: 1,
    says: /There is no record 01nothing in production/,
    run: (workspace) => workspace.run('deployment-history', ['--id', '01nothing']),
  },
]

let opened: Promise<Workspace> | undefined

/** One release is live; every mistake is made in the same place. */
async function live(): Promise<Workspace> {
  const workspace = await stage().openForAll({ replicas: 1 }, '1.0.0', '2.0.0')
  await workspace.bring('1.0.0')
  before = await workspace.resourceVersions()
  return workspace
}
let before = ''

for (const { name, code, says, run } of mistakes) {
  safely(`${name} never ends in anything but exit ${code} and a sentence`, async () => {
    const result = exits(await run(await (opened ??= live())), code)
    expect(result.stderr).toMatch(says)
    expect(result.stderr.split('\n').filter((line) => line.startsWith('✗ ')).length).toBeLessThanOrEqual(2)
    expect(result.stdout).toBe('')
  })
}

safely('a namespace that is not there never ends in anything but exit 1 or 2 and a sentence', async () => {
  const workspace = await stage().open({ replicas: 1, environment: { namespace: 'none-such' } }, '1.0.0')
  const result = await workspace.deploy('1.0.0')
  expect([1, 2]).toContain(result.code)
  expect(exits(result, result.code).stderr).toMatch(/namespaces? "?none-such"? (not found|does not exist)/)
})

safely('S8: --dry-run never changes anything', async () => {
  const workspace = await (opened ??= live())
  const planned = exits(await workspace.run('deploy', ['--dry-run', '--version', '2.0.0']), 0)
  expect(planned.stderr).toContain('deploy   green  2.0.0')
  expect(planned.stderr).toContain('Nothing was changed.')
  const first = await stage().open({ replicas: 1 })
  exits(await first.run('deploy', ['--dry-run', '--version', '1.0.0']), 0)
  expect(await first.kubectl('get', 'deployments,services,leases', '-o', 'name')).toBe('')
})

// Not beside the others: it is about all of them.
test('S8: none of these mistakes ever changed anything', async () => {
  const workspace = await opened
  expect(workspace).toBeDefined()
  expect(await workspace?.resourceVersions()).toBe(before)
}, 60_000)
