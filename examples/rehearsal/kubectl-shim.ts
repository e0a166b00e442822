/**
 * A `kubectl` to stand first on PATH: it runs the real one, writes each call into a log, and, if asked to, kills the
 * script with SIGKILL right after a call that changed something, before the script has its answer; or holds such a call
 * back until it is let go; or loses its answer.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until, type Finished, type Options, type Started } from './program.ts'
import { APP, type Script, type Workspace } from './workspace.ts'

/**
 * Counts what matches SHIM_ON. Renewals of the lock come whenever they come, so they are never counted.
 * The log's lines are `PID arguments`; a call is logged when it has ended.
 * A call that is held back is no child of the script: as a request that is on its way, it lands even if the script ends
 * the kubectl that made it.
 */
const SHIM = `#!/usr/bin/env bash
# One that was started ahead: its patch comes when it is known.
if [[ "\${@: -1}" == --patch-file=/dev/stdin ]]; then
  patch=$(cat)
  set -- "\${@:1:$#-1}" -p "$patch"
fi
call="$*"
call="\${call//$'\\n'/ }"
hit=
if [[ -n "\${SHIM_AT:-}" && "$call" =~ $SHIM_ON && ! "$call" =~ ' patch lease ' && ! "$call" =~ --dry-run ]]; then
  exec 8>>"$SHIM_LOG.count"
  flock 8
  echo "$call" >&8
  if [[ $(wc -l <"$SHIM_LOG.count") -eq $SHIM_AT ]]; then hit=$SHIM_HOW; fi
  exec 8>&-
fi
if [[ $hit == hold ]]; then
  if [[ "$call" =~ ' -f -' ]]; then cat >"$SHIM_LOG.input"; else : >"$SHIM_LOG.input"; fi
  (
    setsid bash -c '
      until [[ -e "$0.go" ]]; do [[ -d "\${0%/*}" ]] || exit; sleep 0.05; done
      "$SHIM_KUBECTL" "$@" <"$0.input" >"$0.stdout" 2>"$0.stderr"
      echo $? >"$0.code" && mv "$0.code" "$0.landed"
    ' "$SHIM_LOG" "$@" </dev/null >/dev/null 2>&1 &
  )
  echo "$call" >"$SHIM_LOG.held.part" && mv "$SHIM_LOG.held.part" "$SHIM_LOG.held"
  until [[ -e "$SHIM_LOG.landed" ]]; do sleep 0.05; done
  cat "$SHIM_LOG.stdout"
  cat "$SHIM_LOG.stderr" >&2
  code=$(<"$SHIM_LOG.landed")
elif [[ $hit == lose ]]; then
  "$SHIM_KUBECTL" "$@" >/dev/null 2>&1
  echo 'error: Patch "https://127.0.0.1/api": unexpected EOF' >&2
  code=1
else
  "$SHIM_KUBECTL" "$@"
  code=$?
fi
exec 9>>"$SHIM_LOG"
flock 9
echo "$call" >&9
if [[ $hit == kill ]]; then kill -9 "$SHIM_TARGET"; fi
exit $code
`

/** Everything that changes something in a cluster. */
export const CHANGES = ' (apply|create|delete|patch|replace|scale|rollout restart) '

/** The one write that moves users, or opens an overlap. */
export const SWITCH = ` patch service ${APP} .*/spec/selector`

export interface Shim {
  /** As `Workspace.start`, with the shim on PATH; the script is killed after a call, if it is said which. */
  start(script: Script, flags: readonly string[], kill?: Kill, options?: Options): Started
  /** The same, with one call held back. */
  hold(script: Script, flags: readonly string[], call: Kill, options?: Options): Held
  /** The same, with one call whose answer is lost: it has done what it should, and says that it broke off. */
  lose(script: Script, flags: readonly string[], call: Kill, options?: Options): Started
  /** The calls of the last script that was started, in the order in which they ended. */
  calls(): string[]
  /** Those of them that matched, in the order in which they were made. */
  matched(): string[]
}

export interface Kill {
  /** After the so manieth call (from 1) that matches. */
  at: number
  /** A regular expression of bash; without it, whatever changes something. */
  on?: string
}

export interface Held {
  run: Started
  /** The call, once it is made; undefined when the script ended without so many. */
  call: Promise<string | undefined>
  /** Lets the call go to the server. @returns what became of it there, once that is known */
  go(): Promise<Pick<Finished, 'code' | 'stdout' | 'stderr'>>
}

const lines = (file: string): string[] => readFileSync(file, 'utf8').split('\n').filter(Boolean)

export function kubectlShim(workspace: Workspace): Shim {
  const folder = join(workspace.folder, 'shim')
  const log = join(folder, 'calls.log')
  const real = Bun.which('kubectl')
  if (!real) throw new Error('kubectl is not on PATH')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'kubectl'), SHIM)
  chmodSync(join(folder, 'kubectl'), 0o755)
  type Begin = (script: Script, flags: readonly string[], call?: Kill, options?: Options) => Started
  const begin =
    (how: 'kill' | 'hold' | 'lose'): Begin =>
    (script, flags, call, options = {}) => {
      for (const end of ['', '.count', '.held', '.go', '.landed']) rmSync(`${log}${end}`, { force: true })
      const env = {
        PATH: `${folder}:${process.env.PATH}`,
        SHIM_KUBECTL: real,
        SHIM_LOG: log,
        SHIM_HOW: how,
        SHIM_AT: call ? String(call.at) : undefined,
        SHIM_ON: call?.on ?? CHANGES,
        ...options.env,
      }
      // `exec` keeps the process's number, which the shim is told before the script begins.
      return workspace.start(script, flags, { ...options, env }, [
        'bash',
        '-c',
        'export SHIM_TARGET=$$; exec "$@"',
        'bash',
      ])
    }
  const file = (end: string): string => readFileSync(`${log}.${end}`, 'utf8')
  return {
    start: begin('kill'),
    lose: begin('lose'),
    hold: (script, flags, call, options) => {
      const run = begin('hold')(script, flags, call, options)
      let ended = false
      void run.ended.then(() => (ended = true))
      const made = until('the call that is held back', () => existsSync(`${log}.held`) || ended || undefined)
      return {
        run,
        call: made.then(() => (existsSync(`${log}.held`) ? file('held').trim() : undefined)),
        go: async () => {
          writeFileSync(`${log}.go`, '')
          await until('the call that was held back', () => existsSync(`${log}.landed`) || undefined)
          return { code: Number(file('landed')), stdout: file('stdout'), stderr: file('stderr') }
        },
      }
    },
    calls: () => lines(log),
    matched: () => lines(`${log}.count`),
  }
}
