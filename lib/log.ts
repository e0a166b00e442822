/** People's output. A step lasts until the next one begins; its end says how long it took. */
export interface Log {
  step(name: string): void
  /** What the step is waiting for; on a terminal in place, elsewhere a line for each change. */
  progress(state: string): void
  /** The same where it is drawn in place; elsewhere nothing. */
  draw(state: string): void
  info(line: string): void
  warn(line: string): void
  /** The text of logs, diffs and events: line by line. */
  block(title: string, text: string): void
  /** Ends the last step. */
  done(): void
  /** Ends the last step as one that did not do what it says. */
  undone(): void
}
