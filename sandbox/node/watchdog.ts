/**
 * Kills the containers when the sandbox dies, however it dies: a small shell outside the sandbox's process group
 * knows their process groups and reads from a pipe that only the sandbox holds open. At its end, it acts.
 */

const SCRIPT = `
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done`

export class Watchdog {
  readonly #shell

  constructor() {
    this.#shell = Bun.spawn(['sh', '-c', SCRIPT], {
      stdin: 'pipe',
      stdout: 'ignore',
      stderr: 'ignore',
      detached: true,
    })
  }

  guard(group: number): void {
    this.#tell(`+ ${group}`)
  }

  release(group: number): void {
    this.#tell(`- ${group}`)
  }

  /** Ends the shell, which kills what is still guarded. */
  async close(): Promise<void> {
    await this.#shell.stdin.end()
    await this.#shell.exited
  }

  #tell(line: string): void {
    void this.#shell.stdin.write(`${line}\n`)
    void this.#shell.stdin.flush()
  }
}
