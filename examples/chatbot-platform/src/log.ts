/**
 * One JSON object a line on stdout. What is logged is chosen by the caller: never a token, a password or a
 * message's text.
 */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]
export type Fields = Record<string, string | number | boolean | undefined>
export type Log = (level: LogLevel, message: string, fields?: Fields) => void

export function createLog(least: LogLevel, write: (line: string) => void = console.log): Log {
  const threshold = logLevels.indexOf(least)
  return (level, message, fields) => {
    if (logLevels.indexOf(level) < threshold) return
    write(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }))
  }
}

/** What an operator needs of a thrown value, as one string. */
export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
