/**
 * The page and what belongs to it: a fixed set, read at start. No path of a request ever reaches the file
 * system.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Handler, Route } from './router.ts'

/** Beside this module in the sources, beside the bundle in an image. */
const FOLDER = join(import.meta.dir, 'public')

const files = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/app.css', 'app.css', 'text/css; charset=utf-8'],
  ['/app.js', 'app.js', 'text/javascript; charset=utf-8'],
  ['/favicon.svg', 'favicon.svg', 'image/svg+xml'],
  ['/robots.txt', 'robots.txt', 'text/plain; charset=utf-8'],
] as const

/** What FAULT_BROKEN_LOGIN serves in place of the script: the page looks right, and its button fails. */
const BROKEN_SCRIPT = `const form = document.querySelector('#sign-in')
form.hidden = false
form.addEventListener('submit', (event) => {
  event.preventDefault()
  throw new Error('fault: FAULT_BROKEN_LOGIN')
})`

export function staticRoutes(brokenLogin: boolean): Route[] {
  return files.map(([path, file, type]) => {
    const content =
      brokenLogin && file === 'app.js' ? BROKEN_SCRIPT : readFileSync(join(FOLDER, file), 'utf8')
    return { method: 'GET', path, handler: serve(content, type) }
  })
}

/**
 * The names do not change with the content, and the other color may answer the next request: browsers ask
 * each time.
 */
function serve(content: string, type: string): Handler {
  const etag = `"${new Bun.CryptoHasher('sha256').update(content).digest('base64url').slice(0, 22)}"`
  const headers = { 'Content-Type': type, 'Cache-Control': 'no-cache', ETag: etag }
  return ({ request }) =>
    request.headers.get('if-none-match')?.includes(etag)
      ? new Response(null, { status: 304, headers })
      : new Response(content, { headers })
}
