/**
 * The guides, followed to the letter: every line that they tell to paste is run, in their order, in one shell. Only the
 * ports are this test's own, and the times that nobody learns from are shorter.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freeNodePorts } from '../../examples/rehearsal/ports.ts'
import { ROOT, run, type Finished } from '../../examples/rehearsal/program.ts'
import { read, shellIn } from '../docs/markdown.ts'
import { REAL } from './suite.ts'

const programs = ['python3', 'nginx'].every((name) =>
  Bun.which(name, { PATH: `${process.env.PATH}:/usr/sbin` }),
)

/** The repository as a clone has it, but for what the run leaves: links to all of it. */
function clone(): string {
  const folder = mkdtempSync(join(tmpdir(), 'guides-'))
  for (const name of readdirSync(ROOT).filter(
    (one) => !['.git', 'reports', 'my-app', 'sandbox.env'].includes(one),
  ))
    symlinkSync(join(ROOT, name), join(folder, name))
  return folder
}

/** After the copy that is the reader's: ports that are free, and no waiting. */
const QUICKLY = `sed -i "s/30080/$LIVE/; s/30081/$PREVIEW/" my-app/deploy.yaml my-app/k8s/shared/services.yaml
sed -i "s/after: 1s/before: 200ms, after: 200ms/; s/drain: 1s/drain: 0s/" my-app/deploy.yaml
sed -i "s/DRAIN_SECONDS = 3/DRAIN_SECONDS = 0.5/" my-app/hello.py
sed -i "s/\\[sleep, '3'\\]/[sleep, '0.5']/" my-app/k8s/painted/deployment.yaml`

/** The playbook's, for whoever is in the app's folder; its rollback has just been made by the other guide, word for word. */
const playbook = (): string =>
  shellIn(read('docs/incident-response-playbook.md'))
    .replace(/(scripts\/[\w-]+\.ts)/g, '$1 --config my-app/deploy.yaml')
    .replace(/^bun scripts\/rollback-deployment\.ts .*--reason "[^"]+" --yes$/m, '')

async function follow(folder: string): Promise<Finished> {
  const way = shellIn(read('docs/using-it-for-your-app.md')).split('\n')
  const [live = 0, preview = 0] = await freeNodePorts({ kubectl: async () => NOTHING }, 2)
  const lines = way
    .flatMap((line) => (line.startsWith('cp -r ') ? [line, QUICKLY] : [line]))
    .flatMap((line) => (line.includes('hello:3.0.0') ? [playbook(), line] : [line]))
    .map((line) => line.replaceAll('127.0.0.1:30080', `127.0.0.1:${live}`))
    // It ends with the shell, however that ends.
    .map((line) => line.replace(/^bun sandbox\/start\.ts/, 'bun --no-orphans sandbox/start.ts'))
  // Shown as they are run, so that a failure says where.
  const script = ['set -euo pipefail; trap "kill %1 2>/dev/null; wait" EXIT', 'set -v', ...lines].join('\n')
  const env = {
    LIVE: `${live}`,
    PREVIEW: `${preview}`,
    KUBECONFIG: undefined,
    REGISTRY: undefined,
    NO_COLOR: '1',
    KUBECACHEDIR: join(folder, 'cache'),
  }
  return await run(['bash', '-s'], { cwd: folder, env, input: script })
}

/** No cluster is asked yet which ports are taken: it starts later. */
const NOTHING: Finished = { code: 0, stdout: '', stderr: '', ms: 0 }

test.skipIf(REAL || !programs)(
  'a newcomer follows the guide, and then the playbook, to the letter',
  async () => {
    const folder = clone()
    try {
      const { code, stdout, stderr } = await follow(folder)
      if (code !== 0) throw new Error(`exit ${code}:\n${stderr.slice(-6000)}`)
      expect(stdout).toContain('Hello from 1.0.0')
      expect(stdout).toContain('{"version": "2.0.0", "color": "green"}')
      expect(stderr).toContain('healthy: nothing was found that is wrong')
      // What cannot start is stopped before users, and its own words are told.
      expect(stdout).toContain('exit 1\n{"version": "1.0.0", "color": "blue"}')
      expect(stderr).toMatch(
        /no such database[^]*First look: green \(idle\): a container exits by itself, last with code 3/,
      )
      expect(stderr).toMatch(/hold +no deployments|on hold|held up/i)
      expect(stderr).not.toContain('This is a bug of the scripts')
      expect(stderr).not.toMatch(/[1-9]\d* failed$/m)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  300_000,
)
