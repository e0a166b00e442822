/** Users of a rehearsal, at a steady rate. */

const PATHS = ['/', '/version', '/app.js', '/api/session', '/app.css']

export interface Met {
  at: number
  bad: boolean
}

async function ask(url: string, options: RequestInit): Promise<boolean> {
  try {
    const answer = await fetch(url, options)
    await answer.text()
    return answer.status >= 500
  } catch {
    return true
  }
}

/** Twenty requests a second, each path alike, half of them on new connections. */
export function users(url: string, met: Met[]): () => void {
  let asked = 0
  const timer = setInterval(() => {
    const path = PATHS[asked++ % PATHS.length] ?? '/'
    const at = Date.now()
    const headers = { cookie: 'session=nobody' }
    const options = { keepalive: asked % 2 === 0, headers, signal: AbortSignal.timeout(10_000) }
    void ask(url + path, options).then((bad) => met.push({ at, bad }))
  }, 50)
  return () => clearInterval(timer)
}
