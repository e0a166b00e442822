/**
 * What should not be served at all. An answer counts by what is in it, not by its status: an application that
 * serves its page for every path answers 200 to each of these.
 */
import { answered, counted, each, found, type Check, type Observation } from './check.ts'
import type { Answer } from './client.ts'
import { files, internals, type Content, type Exposed } from './exposed-paths.ts'
import type { Site } from './site.ts'

const hardening =
  'https://owasp.org/www-project-web-security-testing-guide/latest/4-Web_Application_Security_Testing/02-Configuration_and_Deployment_Management_Testing'

export const exposureChecks: Check[] = [
  {
    id: 'exposed-files',
    severity: 'critical',
    expected: 'no repository, configuration, credentials or dumps are served',
    fix: 'Serve one folder of built files; leave everything else out of the image. Change what was readable.',
    reference: `${hardening}/04-Review_Old_Backup_and_Unreferenced_Files_for_Sensitive_Information`,
    passive: true,
    probe: (site) => each('file', files, (file) => served(site, file)),
  },
  {
    id: 'exposed-internals',
    severity: 'high',
    expected: 'metrics, profilers and management endpoints are not for the public',
    fix: 'Serve them on a port of their own that no public Service names, or behind authentication.',
    reference: `${hardening}/05-Enumerate_Infrastructure_and_Application_Admin_Interfaces`,
    passive: true,
    probe: (site) => each('internal endpoint', internals, (endpoint) => served(site, endpoint)),
  },
  {
    id: 'source-maps',
    severity: 'low',
    expected: 'scripts are served without their source maps',
    fix: 'Build without source maps, or upload them to the error tracker and not to the server.',
    reference: 'https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/SourceMap',
    probe: async (site) => {
      const scripts = await ownScripts(site)
      const looked = await each('script', scripts.length > 0 ? scripts : [undefined], (script) =>
        script === undefined ? Promise.resolve([]) : sourceMap(site, script),
      )
      return { ...looked, seen: counted(scripts.length, 'script') }
    },
  },
  {
    id: 'directory-listing',
    severity: 'medium',
    expected: 'no folder lists its files',
    fix: 'Switch the listing off (autoindex off; Options -Indexes).',
    reference: `${hardening}/04-Review_Old_Backup_and_Unreferenced_Files_for_Sensitive_Information`,
    probe: async (site) => {
      const folders = (await ownScripts(site)).map((path) => path.replace(/[^/]*$/, ''))
      const paths = [...new Set(['/static/', '/assets/', ...folders])].filter((path) => path !== '/')
      return each('folder', paths, async (path) => {
        const answer = answered(await site.once({ path }))
        const listing = /<title>\s*(Index of|Directory listing for) |<h1>\s*Index of /i.test(answer.text)
        return found(answer, answer.status === 200 && listing ? 'lists the files of a folder' : undefined)
      })
    },
  },
]

async function served(site: Site, { path, what, content, severity, html }: Exposed): Promise<Observation[]> {
  const [answer, missing] = await Promise.all([site.once({ path }), site.missing()])
  const there = isThere(answered(answer), content, missing, html === true)
  return found(answer, there ? { problem: `serves ${what}`, severity } : undefined)
}

/** Whether it is the thing itself, and not what is served for every path. The body alone decides, not its type. Pure. */
export function isThere(
  answer: Pick<Answer, 'status' | 'text'>,
  content: Content,
  missing: Pick<Answer, 'status' | 'text'>,
  html: boolean,
): boolean {
  const [there, always] = [answer, missing].map(
    ({ status, text }) => status >= 200 && status < 300 && (html || !MARKUP.test(text)) && content.test(text),
  )
  return there === true && !always
}

/** How a page for people begins; an XML file and a PHP file are none. */
const MARKUP =
  /^\s*<(!--|!doctype|(html|head|body|title|meta|link|style|script|header|main|div|p|h\d|center)\b)/i

/** At most three scripts of a page that come from the application itself. */
async function ownScripts(site: Site): Promise<string[]> {
  const path = site.settings.pages[0] ?? '/'
  const { text } = await site.page(path)
  const page = new URL(path, site.client.url)
  const sources = scriptSources(text)
  const urls = sources.flatMap((src) => URL.parse(src, page.href) ?? [])
  const own = urls.filter(({ origin }) => origin === page.origin).map((url) => url.pathname + url.search)
  return [...new Set(own)].slice(0, 3)
}

/** Of every script of a page. Pure. */
export function scriptSources(html: string): string[] {
  const scripts = html.matchAll(/<script\b[^<>]*\bsrc\s*=\s*["']?([^"'\s<>]+)/gi)
  return [...scripts].map(([, src = '']) => src)
}

async function sourceMap(site: Site, script: string): Promise<Observation[]> {
  const { text, header } = answered(await site.ask({ path: script }))
  const named = header('sourcemap') ?? /\/\/[#@] sourceMappingURL=(\S+)\s*$/.exec(text)?.[1] ?? ''
  if (named.startsWith('data:')) return []
  const base = new URL(script, site.client.url)
  const url = new URL(named || `${base.pathname}.map`, base)
  if (url.origin !== base.origin) return []
  const answer = answered(await site.ask({ path: url.pathname + url.search }))
  const map = answer.status === 200 && /"mappings"\s*:/.test(answer.text)
  return found(answer, map ? 'serves the sources of a script' : undefined)
}
