/**
 * A `kubectl` to stand first on PATH: it runs the real one, writes each call into a log, and, if asked to, kills the
 * script with SIGKILL right after a call that changed something, before the script has its answer.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Options, Started } from './program.ts'
import type { Script, Workspace } from './workspace.ts'

/**
 * Counts what matches SHIM_KILL_ON. Renewals of the lock come whenever they come, so they are never counted.
 * The log's lines are `PID arguments`; a call is logged when it has ended.
 */
const SHIM = `#!/usr/bin/env bash
"$SHIM_KUBECTL" "$@"
code=$?
call="$*"
call="\${call//$'\\n'/ }"
exec 9>>"$SHIM_LOG"
flock 9
echo "$call" >&9
if [[ -n "\${SHIM_KILL_AT:-}" && "$call" =~ $SHIM_KILL_ON && ! "$call" =~ ' patch lease ' && ! "$call" =~ --dry-run ]]; then
  echo x >>"$SHIM_LOG.count"
  if [[ $(wc -l <"$SHIM_LOG.count") -eq $SHIM_KILL_AT ]]; then kill -9 "$SHIM_TARGET"; fi
fi
exit $code
`

/** Everything that changes something in a cluster. */
export const CHANGES = ' (apply|create|delete|patch|replace|scale|rollout restart) '

export interface Shim {
  /** As `Workspace.start`, with the shim on PATH. */
  start(script: Script, flags: readonly string[], kill?: Kill, options?: Options): Started
  /** The calls of the last script that was started, in the order in which they ended. */
  calls(): string[]
}

export interface Kill {
  /** After the so manieth call (from 1) that matches. */
  at: number
  /** A regular expression of bash; without it, whatever changes something. */
  on?: string
}

export function kubectlShim(workspace: Workspace): Shim {
  const folder = join(workspace.folder, 'shim')
  const log = join(folder, 'calls.log')
  const real = Bun.which('kubectl')
  if (!real) throw new Error('kubectl is not on PATH')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'kubectl'), SHIM)
  chmodSync(join(folder, 'kubectl'), 0o755)
  return {
    start: (script, flags, kill, options = {}) => {
      for (const file of [log, `${log}.count`]) rmSync(file, { force: true })
      const env = {
        PATH: `${folder}:${process.env.PATH}`,
        SHIM_KUBECTL: real,
        SHIM_LOG: log,
        SHIM_KILL_AT: kill ? String(kill.at) : undefined,
        SHIM_KILL_ON: kill?.on ?? CHANGES,
        ...options.env,
      }
      // `exec` keeps the process's number, which the shim is told before the script begins.
      return workspace.start(script, flags, { ...options, env }, [
        'bash',
        '-c',
        'export SHIM_TARGET=$$; exec "$@"',
        'bash',
      ])
    },
    calls: () => readFileSync(log, 'utf8').split('\n').filter(Boolean),
  }
}
