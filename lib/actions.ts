/**
 * Workflow commands of GitHub Actions. They go to standard error, which the runner reads as well: standard output
 * is for data. https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
 */

/** A line on the run's page; nothing elsewhere. */
export function annotate(level: 'error' | 'warning' | 'notice', title: string, message: string): void {
  if (process.env.GITHUB_ACTIONS !== 'true') return
  const property = escape(title).replaceAll(':', '%3A').replaceAll(',', '%2C')
  process.stderr.write(`::${level}${title && ` title=${property}`}::${escape(message)}\n`)
}

/** A command ends at a line break. */
function escape(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}
