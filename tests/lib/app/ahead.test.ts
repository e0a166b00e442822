/** What a script in a hurry asks before it is loaded is what it asks for afterwards, word for word. */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endAhead } from '../../../lib/ahead.ts'
import { askAhead } from '../../../lib/app/ahead.ts'
import { systemClock } from '../../../lib/clock.ts'
import { currentContext, getApp, patchService } from '../../../lib/cluster/commands.ts'
import { Kubectl } from '../../../lib/cluster/kubectl.ts'
import { shell } from '../../../lib/command.ts'

const { PATH, KUBECONFIG } = process.env
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ask-ahead-test-'))
  mkdirSync(join(folder, 'bin'))
  // Each process of it is a line of the log; it says what it was told.
  const kubectl = `#!/bin/sh
    echo "$*" >> ${folder}/log
    case "$*" in *--patch-file=/dev/stdin) cat ;; *current-context) echo asked ;; *) echo '{}' ;; esac`
  writeFileSync(join(folder, 'bin/kubectl'), kubectl)
  chmodSync(join(folder, 'bin/kubectl'), 0o755)
  const production = 'context: prod, namespace: chat'
  const staging = 'context: "${CONTEXT}", namespace: chat'
  writeFileSync(
    join(folder, 'deploy.yaml'),
    `app: chat\nenvironments: { production: { ${production} }, staging: { ${staging} } }\n`,
  )
  writeFileSync(join(folder, 'first'), 'current-context: ""\n')
  writeFileSync(join(folder, 'second'), 'current-context: prod\n')
  process.env['PATH'] = `${folder}/bin:${PATH}`
})
afterEach(() => {
  endAhead()
  rmSync(join(folder, 'log'), { force: true })
})
afterAll(() => {
  process.env['PATH'] = PATH
  if (KUBECONFIG === undefined) delete process.env['KUBECONFIG']
  else process.env['KUBECONFIG'] = KUBECONFIG
  rmSync(folder, { recursive: true, force: true })
})

const OPERATIONS = [{ op: 'add', path: '/spec', value: 1 }] as const

/** What a rollback runs, after this has been asked ahead: its answers, and how many kubectls there were in all. */
async function rollback(flags: string[], kubeconfigs: string[]): Promise<Record<string, unknown>> {
  process.env['KUBECONFIG'] = kubeconfigs.map((name) => join(folder, name)).join(':')
  askAhead(['--config', join(folder, 'deploy.yaml'), ...flags], { patch: true })
  const scope = { context: 'prod', namespace: 'chat' }
  const kubectl = new Kubectl(
    scope,
    shell(() => {}),
    systemClock,
    new AbortController().signal,
  )
  const found = await kubectl.read(getApp('chat'))
  const { stdout: context } = await kubectl.ask(currentContext())
  const patched = await kubectl.write(patchService('chat', OPERATIONS))
  const log = existsSync(join(folder, 'log'))
    ? readFileSync(join(folder, 'log'), 'utf8').trim().split('\n')
    : []
  return { found: found.trim(), context: context.trim(), patched: patched.trim(), processes: log.length }
}

const sent = JSON.stringify(OPERATIONS)

test.each([
  ['everything', ['--env', 'production', '--yes'], ['first', 'second'], 'prod', sent, 2],
  ['flags that hold their value', ['--env=production', '--yes'], ['second'], 'prod', sent, 2],
  [
    'a context that is chosen: none is looked up',
    ['--env', 'production', '--yes', '--context', 'prod'],
    ['second'],
    'asked',
    sent,
    3,
  ],
  [
    'a kubeconfig that is not there: kubectl knows what that means',
    ['--env', 'production', '--yes'],
    ['nowhere', 'second'],
    'asked',
    sent,
    3,
  ],
  ['a question before the patch: it is not waited for', ['--env', 'production'], ['second'], 'prod', '{}', 2],
] as const)('%s', async (_, flags, kubeconfigs, context, patched, processes) => {
  const seen = await rollback([...flags], [...kubeconfigs])
  expect(seen).toEqual({ found: '{}', context, patched, processes })
})

test.each([
  ['a variable in the settings', ['--env', 'staging', '--yes']],
  ['another environment', ['--env', 'nowhere', '--yes']],
  ['no environment', ['--yes']],
  ['help', ['--env', 'production', '--yes', '--help']],
  ['settings that are not there', ['--env', 'production', '--yes', '--config', '/nowhere.yaml']],
])('%s: nothing is asked ahead', async (_, flags) => {
  expect(await rollback(flags, ['second'])).toEqual({
    found: '{}',
    context: 'asked',
    patched: '{}',
    processes: 3,
  })
})
