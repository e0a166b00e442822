/**
 * From a commit to what users see, by `make deploy-prod`: in a copy of this repository, with the real Docker Engine,
 * the registry and the cluster that `KUBECONFIG` and `REGISTRY` name, and the application's own linter and tests. The
 * audit asks a registry of known advisories; Dependency-Check is stood in for, as its data cannot be had here.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { startCluster, type Cluster } from '../../examples/rehearsal/cluster.ts'
import { output, ROOT, run, type Finished } from '../../examples/rehearsal/program.ts'
import { Workspace } from '../../examples/rehearsal/workspace.ts'
import { readRelease } from '../../lib/image/release-file.ts'
import { dependency, report, standIn } from '../lib/scan/dependency-check-fixture.ts'
import { registry, type Registry } from '../lib/scan/registry.ts'
import { filesOf } from '../tree.ts'
import { REAL } from './suite.ts'

setDefaultTimeout(900_000)

const EXAMPLE = 'examples/chatbot-platform'
const STAGES = ['lint', 'test', 'security-scan', 'build', 'docker']

describe.skipIf(!REAL)('a commit', () => {
  let cluster: Cluster
  let workspace: Workspace
  let advisories: Registry
  /** The copy, where commits are made. */
  let copy: string
  let env: Record<string, string>
  /** Writes its deploy.yaml, with these stages before the ones of this repository. */
  let configure: (stages: object) => void

  const git = async (...args: string[]): Promise<string> =>
    (await output(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: copy })).trim()
  const commit = async (): Promise<void> => {
    await git('add', '--all')
    await git('commit', '--quiet', '--message', '$(touch pwned)')
  }
  const deploy = async (): Promise<Finished> => {
    // What is installed is this repository's.
    const command = ['make', '-o', 'install', 'deploy-prod', 'CONFIG=pipeline.yaml', 'YES=1']
    return await run(command, { cwd: copy, env, within: 600_000 })
  }
  const at = (...path: string[]): string => join(copy, 'reports', ...path)
  const passed = (stage: string): boolean =>
    z.object({ passed: z.boolean() }).parse(JSON.parse(readFileSync(at(stage, 'result.json'), 'utf8'))).passed
  const edit = (file: string, change: (text: string) => string): void => {
    const path = join(copy, EXAMPLE, file)
    const text = readFileSync(path, 'utf8')
    expect(change(text)).not.toBe(text)
    writeFileSync(path, change(text))
  }
  const live = async () =>
    z
      .object({ version: z.string(), commit: z.string() })
      .parse(await (await fetch(`${workspace.url}/version`)).json())

  beforeAll(async () => {
    cluster = await startCluster()
    const name = `${cluster.registry}/pipeline-${Date.now()}`
    const images = { name, push: () => Promise.reject(new Error('the pipeline pushes')) }
    workspace = await Workspace.open(cluster, images)
    advisories = registry()
    copy = copyOfThis(cluster.folder)

    const base = await output([join(ROOT, EXAMPLE, 'base-image.sh')], { env: { BUN: process.execPath } })
    configure = (change) =>
      writeFileSync(join(copy, 'pipeline.yaml'), pipeline(workspace, base.trim(), change))
    configure({})
    const bin = join(cluster.folder, 'bin')
    const told = standIn(bin, 'dependency-check')
    writeFileSync(join(told, 'report'), JSON.stringify(report([dependency(join(copy, EXAMPLE), [])])))
    writeFileSync(join(told, 'exit'), '0')
    env = {
      ...cluster.env,
      PATH: `${bin}:${process.env.PATH}`,
      HOME: cluster.folder,
      DEPENDENCY_CHECK_DATA: join(cluster.folder, 'data'),
      // It knows one advisory, for the package that the vulnerable commit brings in.
      BUN_CONFIG_REGISTRY: advisories.url('high'),
      GITHUB_ACTIONS: '',
    }
    await git('init', '--quiet', '--initial-branch', 'main')
    writeFileSync(join(copy, '.git/info/exclude'), 'node_modules\n.tools\n')
    await commit()
    await git('tag', 'v1.0.0')
  })

  afterAll(async () => {
    // By name: the cluster may still run them.
    const format = '{{.Repository}}:{{.Tag}}'
    const { stdout } = await run([
      'docker',
      'image',
      'ls',
      `--format=${format}`,
      workspace?.images.name ?? 'none',
    ])
    await run(['docker', 'rmi', '--force', ...stdout.trim().split('\n')])
    await workspace?.close()
    await advisories?.[Symbol.asyncDispose]()
    await cluster?.stop()
  })

  test('goes through every stage, and is live', async () => {
    const { code, stderr } = await deploy()
    if (code !== 0) throw new Error(`make ended with ${code}:\n${stderr}`)
    expect(STAGES.filter(passed)).toEqual(STAGES)
    const head = await git('rev-parse', 'HEAD')
    expect(await live()).toEqual({ version: '1.0.0', commit: head })

    const { image, digest, stages } = readRelease(at('release.json'))
    expect(Object.values(stages).map((stage) => stage.commit)).toEqual(
      ['lint', 'test', 'scan', 'build'].map(() => head),
    )
    const { color = '' } = await workspace.selector()
    const runs = await workspace.kubectl('get', 'pods', '-l', `color=${color}`, '-o', 'jsonpath={..image}')
    expect(new Set(runs.split(' '))).toContain(`${image}@${digest}`)
    const said = stderr.slice(stderr.lastIndexOf('Stages\n'))
    for (const stage of STAGES) expect(said).toMatch(new RegExp(`✓ ${stage} +\\d`))
    expect(said).toContain('since the first stage began')
  })

  test.each<[problem: string, at: string, says: string, make: () => void]>([
    [
      'a vulnerable dependency',
      'security-scan',
      '1 finding blocks (fails on high and worse)',
      () => {
        edit('package.json', (text) => text.replace('"prom-client"', '"victim": "1.0.0",\n    "prom-client"'))
        const digest = Buffer.alloc(64).toString('base64')
        edit('bun.lock', (text) =>
          text
            .replace('"prom-client": "15.1.3",', '$&\n        "victim": "1.0.0",')
            .replace('"packages": {', `$&\n    "victim": ["victim@1.0.0", "", {}, "sha512-${digest}"],\n`),
        )
      },
    ],
    [
      'a failing test',
      'test',
      'unit: 1 of ',
      () => {
        const file = `../../tests/${EXAMPLE}/config.test.ts`
        edit(file, (text) => `${text}\ntest('that fails', () => expect(1).toBe(2))\n`)
      },
    ],
    [
      'a lint error',
      'lint',
      '1 errors in ',
      () => edit('src/chat.ts', (text) => `${text}\nexport const anything: any = 1\n`),
    ],
  ])('with %s stops at %s, and nothing later runs', async (_, stage, says, make) => {
    await git('reset', '--quiet', '--hard', 'v1.0.0')
    // The whole suite ran for the first one.
    configure({
      test: { command: ['bun', 'run', 'test:unit'], reports: { unit: 'unit.xml' }, coverage: false },
    })
    make()
    await commit()
    const before = [await live(), await workspace.resourceVersions()]
    const { code, stderr } = await deploy()
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)])

    const reached = STAGES.slice(0, STAGES.indexOf(stage))
    expect([...reached, stage].map(passed)).toEqual([...reached.map(() => true), false])
    for (const later of STAGES.slice(reached.length + 1)) expect(existsSync(at(later))).toBe(false)
    expect(existsSync(at('release.json'))).toBe(false)
    expect(await tags(workspace.images.name)).not.toContain(
      `sha-${(await git('rev-parse', 'HEAD')).slice(0, 7)}`,
    )
    expect([await live(), await workspace.resourceVersions()]).toEqual(before)
    // make's own code is 2, whatever the stage's was; it is said beside it.
    expect(stderr).toMatch(/deploy-prod\] Error 1\n/)
    const said = stderr.slice(stderr.lastIndexOf('Stages\n'))
    expect(said).toMatch(new RegExp(`✗ ${stage} +\\d`))
    expect(existsSync(join(copy, 'pwned'))).toBe(false)
  })
})

/** The deploy.yaml of a workspace, with the stages of this repository. */
function pipeline(workspace: Workspace, base: string, change: object): string {
  const { environments, ...settings } = parse(readFileSync(workspace.config, 'utf8'))
  const { stages, scan } = parse(readFileSync(join(ROOT, 'deploy.yaml'), 'utf8'))
  stages.docker.buildArgs.BASE_IMAGE = base
  const production = {
    ...environments.production,
    manifests: join(workspace.folder, 'overlay'),
    requires: { stages: ['lint', 'test', 'security-scan', 'build'], maxScanAge: '1h' },
  }
  return stringify({ ...settings, stages: { ...stages, ...change }, scan, environments: { production } })
}

/** What git would track of this repository, and what is installed here. */
function copyOfThis(folder: string): string {
  const copy = mkdtempSync(join(folder, 'repository-'))
  for (const file of filesOf(ROOT)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(ROOT, file), join(copy, file))
  }
  for (const name of ['.tools', 'node_modules', `${EXAMPLE}/node_modules`])
    symlinkSync(join(ROOT, name), join(copy, name))
  return copy
}

/** The tags of an image in the registry. */
async function tags(image: string): Promise<string[]> {
  const [host = '', ...path] = image.split('/')
  const answer = await fetch(`http://${host}/v2/${path.join('/')}/tags/list`)
  return z.object({ tags: z.array(z.string()) }).parse(await answer.json()).tags
}
