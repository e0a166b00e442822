/** The decisions of the security checks, one by one. */
import { describe, expect, test } from 'bun:test'
import type { CheckResult } from '../../lib/check.ts'
import { refusal } from '../../verify/security/access.ts'
import type { Check, Fault, Outcome } from '../../verify/security/check.ts'
import { flaws, isSession } from '../../verify/security/cookies.ts'
import { lookalikes, sharing } from '../../verify/security/cors.ts'
import { contentSecurityPolicy, framing } from '../../verify/security/csp.ts'
import { disclosure } from '../../verify/security/errors.ts'
import { isThere, scriptSources } from '../../verify/security/exposure.ts'
import { assigns, files, internals } from '../../verify/security/exposed-paths.ts'
import { covers, judge, judgeWaivers } from '../../verify/security/findings.ts'
import {
  cacheControl,
  contentType,
  softwareDisclosure,
  strictTransport,
} from '../../verify/security/headers.ts'
import { offSite, reflection } from '../../verify/security/input.ts'
import { Secrets } from '../../verify/security/secrets.ts'
import { flipped, forgeries, guessable, sessionOf, signInQuestion } from '../../verify/security/session.ts'
import { hasExpired, leftOut } from '../../verify/skips.ts'
import { certificateFault, plainFault } from '../../verify/security/transport.ts'

interface Said {
  status?: number
  text?: string
  headers?: Record<string, string>
}

const said = ({ status = 200, text = 'x', headers = {} }: Said) => ({
  method: 'GET',
  path: '/',
  shown: '/',
  note: '',
  status,
  text,
  bytes: text.length,
  cookies: [],
  header: (name: string) => headers[name],
})

/** `undefined`, or how bad it is; `own` is the check's own severity. */
function weight(fault: Fault): string | undefined {
  if (fault === undefined) return undefined
  return typeof fault === 'string' ? 'own' : (fault.severity ?? 'own')
}

describe('a Content-Security-Policy', () => {
  const strict = "default-src 'none'; script-src 'self'; base-uri 'none'"
  test.each([
    [undefined, 'own'],
    ['', 'own'],
    [strict, undefined],
    ["default-src 'self'; script-src 'self' 'unsafe-inline'; object-src 'none'", 'high'],
    ['default-src *', 'high'],
    ['default-src https:', 'high'],
    ["script-src 'self' https://ajax.googleapis.com; object-src 'none'", 'high'],
    ["frame-ancestors 'none'", 'high'],
    ['nonsense', 'high'],
    [`${strict}; nonsense`, 'low'],
    ["script-src 'self' 'unsafe-eval'; object-src 'none'; base-uri 'none'", 'medium'],
    ["default-src 'self' 'unsafe-eval'; object-src 'none'; base-uri 'none'", 'medium'],
    ["script-src 'self' blob:; object-src 'none'; base-uri 'none'", 'medium'],
    ["default-src 'self' BLOB:; object-src 'none'; base-uri 'none'", 'medium'],
    ["script-src 'self'; worker-src blob:; object-src 'none'; base-uri 'none'", undefined],
    ["script-src 'self' data:; object-src 'none'; base-uri 'none'", 'high'],
    ["script-src https://static.example.com; object-src 'none'; base-uri 'none'", 'low'],
    [`script-src 'self' 'unsafe-eval'; object-src 'none', ${strict}`, undefined],
    [`default-src *, script-src 'self' 'unsafe-eval'; object-src 'none'`, 'medium'],
    // Many small faults weigh less than a grave one.
    [
      "script-src data:; object-src 'none', script-src 'unsafe-eval' blob:; script-src-elem blob:; object-src 'none'",
      'medium',
    ],
    // Both hold, so that the strict one protects.
    [`default-src *, ${strict}`, undefined],
  ])('%s: %p', (policy, expected) => expect(weight(contentSecurityPolicy(policy))).toBe(expected))
})

describe('framing', () => {
  test.each([
    [undefined, undefined, 'own'],
    ["frame-ancestors 'none'", undefined, undefined],
    ["frame-ancestors 'self'", undefined, undefined],
    ['frame-ancestors *', 'DENY', 'own'],
    ['frame-ancestors https:', undefined, 'own'],
    ["default-src 'self'", undefined, 'own'],
    ["default-src 'self'", 'sameorigin', undefined],
    [undefined, 'DENY', undefined],
    [undefined, 'ALLOW-FROM https://a.example', 'own'],
    // A set, which browsers take for a refusal.
    [undefined, 'DENY, DENY', undefined],
    [undefined, 'SAMEORIGIN, SAMEORIGIN', undefined],
    [undefined, 'ALLOWALL', 'own'],
    [undefined, 'nonsense, nonsense', 'own'],
    ['frame-ancestors *:*', undefined, 'own'],
    ['frame-ancestors *:443', undefined, 'own'],
    ['frame-ancestors https://*:443', undefined, 'own'],
    ['frame-ancestors https://*', undefined, 'own'],
    ['frame-ancestors data:', undefined, 'own'],
    ['frame-ancestors https://*.example.com', undefined, undefined],
    ['frame-ancestors https://a.example:8443', undefined, undefined],
    ["frame-ancestors 'self' *", undefined, 'own'],
    ["frame-ancestors 'self' https://a.example", undefined, undefined],
    ["frame-ancestors *, frame-ancestors 'self'", undefined, undefined],
    ['frame-ancestors *, frame-ancestors https:', undefined, 'own'],
    ["default-src 'self', frame-ancestors 'none'", undefined, undefined],
  ])('%s, X-Frame-Options %s: %p', (policy, options, expected) =>
    expect(weight(framing(policy, options))).toBe(expected),
  )
})

test.each([
  [undefined, 'own'],
  ['max-age=31536000; includeSubDomains', undefined],
  ['max-age="63072000"', undefined],
  ['max-age=86400', 'own'],
  ['max-age=15768000', 'low'],
  ['max-age=15767999', 'own'],
  ['includeSubDomains;max-age=31536000', undefined],
  ['xmax-age=31536000', 'own'],
  ['max-age=31536000x', 'own'],
  ['max-age=31536000, max-age=31536000', undefined],
  ['max-age=0, max-age=31536000', 'own'],
  ['max-age=31536000, max-age=0', undefined],
  ['includeSubDomains', 'own'],
])('Strict-Transport-Security: %s: %p', (value, expected) =>
  expect(weight(strictTransport(value))).toBe(expected),
)

describe('other headers', () => {
  test.each<[string, (answer: ReturnType<typeof said>) => Fault, Said, string | undefined]>([
    ['no type', contentType, {}, 'own'],
    ['no type of nothing', contentType, { text: '' }, undefined],
    ['HTML', contentType, { headers: { 'content-type': 'text/html; charset=utf-8' } }, undefined],
    ['HTML without a charset', contentType, { headers: { 'content-type': 'text/html' } }, 'low'],
    [
      'HTML with its charset in it',
      contentType,
      { text: '<meta charset="utf-8">', headers: { 'content-type': 'text/html' } },
      undefined,
    ],
    ['JSON as HTML', contentType, { text: '{"a":1}', headers: { 'content-type': 'text/html' } }, 'own'],
    ['JSON', contentType, { text: '{}', headers: { 'content-type': 'application/json' } }, undefined],
    ['a version', softwareDisclosure, { headers: { server: 'Apache/2.4.62 (Debian)' } }, 'own'],
    ['a name', softwareDisclosure, { headers: { server: 'nginx' } }, undefined],
    ['a framework', softwareDisclosure, { headers: { 'x-powered-by': 'Express' } }, 'own'],
    ['no-store', cacheControl, { headers: { 'cache-control': 'private, no-store' } }, undefined],
    ['private', cacheControl, { headers: { 'cache-control': 'private, max-age=0' } }, 'low'],
    ['public', cacheControl, { headers: { 'cache-control': 'public, max-age=60' } }, 'medium'],
    ['silence', cacheControl, {}, 'medium'],
  ])('%s', (_, judged, answer, expected) => expect(weight(judged(said(answer)))).toBe(expected))
})

describe('cookies', () => {
  const value = '0123456789abcdef'
  const strict = { name: 's', value, httpOnly: true, secure: true, sameSite: 'Strict' }
  test.each([
    ['a strict session', strict, { https: true, session: true }, []],
    ['over http', { ...strict, secure: false }, { https: false, session: true }, []],
    ['without Secure', { ...strict, secure: false }, { https: true, session: true }, ['high']],
    ['for scripts', { ...strict, httpOnly: false }, { https: true, session: true }, ['high']],
    ['without SameSite', { name: 's', value, httpOnly: true }, { https: false, session: true }, ['medium']],
    ['SameSite=None', { ...strict, sameSite: 'none' }, { https: true, session: true }, ['medium']],
    [
      'None in the clear',
      { name: 'a', value: 'b', sameSite: 'None' },
      { https: false, session: false },
      ['high'],
    ],
    ['for a domain', { ...strict, domain: 'example.com' }, { https: true, session: true }, ['low']],
    ['a language', { name: 'lang', value: 'en' }, { https: false, session: false }, []],
    ['a short session', { name: 'x', value: '10042' }, { https: false, session: true }, ['high', 'medium']],
    ['a language over https', { name: 'lang', value: 'en' }, { https: true, session: false }, ['medium']],
    ['one that is taken away', { name: 's', value: '' }, { https: true, session: true }, []],
  ])('%s', (_, cookie, where, expected) =>
    expect(flaws(cookie, where).map(({ severity }) => severity as string)).toEqual(expected),
  )
})

test.each([
  ['PHPSESSID', '1q2w3e4r', false, true],
  ['connect.sid', 's%3Aabcdef', false, true],
  ['auth_token', 'abcd', false, true],
  ['session', '0', false, false],
  ['author', 'somebody', false, false],
  ['sidebar', 'open-wide', false, false],
  ['x', '0123456789abcdef', true, true],
  ['x', '0123456789abcde', true, false],
  ['x', '0123456789abcdef', false, false],
  ['XSRF-TOKEN', '0123456789abcdef', true, false],
  ['csrf_session', '0123456789abcdef', true, false],
])('the cookie %s=%s, of a sign-in %p, is a session: %p', (name, value, signIn, expected) =>
  expect(isSession({ name, value }, signIn)).toBe(expected),
)

const allow = (origin: string, credentials = '', vary = '') => ({
  'access-control-allow-origin': origin,
  ...(credentials && { 'access-control-allow-credentials': credentials }),
  ...(vary && { vary }),
})

describe('sharing with foreign origins', () => {
  const evil = 'https://evil.invalid'
  test.each([
    ['nothing', {}, evil, undefined],
    ['the origin with credentials', allow(evil, 'true', 'Origin'), evil, 'own'],
    ['null with credentials', allow('null', 'TRUE'), 'null', 'own'],
    ['all', allow('*'), evil, undefined],
    ['all with credentials', allow('*', 'true'), evil, 'medium'],
    ['the origin without credentials', allow(evil, '', 'accept, origin'), evil, undefined],
    ['the same, for any cache', allow(evil), evil, 'low'],
    ['another origin', allow('https://app.example', 'true'), evil, undefined],
  ])('%s', (_, headers, origin, expected) =>
    expect(weight(sharing(said({ headers }), origin))).toBe(expected),
  )
})

test.each([
  ['127.0.0.1:80', ['https://127.0.0.1:80.evil.invalid', 'https://evil127.0.0.1:80']],
  ['example.com', ['https://example.com.evil.invalid', 'https://evilexample.com']],
  [
    'app.example.com',
    ['https://app.example.com.evil.invalid', 'https://evilapp.example.com', 'https://evilexample.com'],
  ],
  ['localhost', ['https://localhost.evil.invalid', 'https://evillocalhost']],
])('what %s may be mistaken for', (host, expected) => expect(lookalikes(host)).toEqual(expected))

test.each([
  [401, undefined, undefined],
  [403, undefined, undefined],
  [200, undefined, 'critical'],
  [204, undefined, 'critical'],
  [302, '/login', 'medium'],
  [404, undefined, 'medium'],
  [500, undefined, 'high'],
])('a refusal: %d to %s: %p', (status, location, expected) =>
  expect(weight(refusal(said({ status, headers: location ? { location } : {} }), [401, 403]))).toBe(expected),
)

test('a redirect is told without what its query holds', () => {
  const location = '/login?ticket=abc'
  expect(refusal(said({ status: 302, headers: { location } }), [401])).toMatchObject({
    problem: 'answered 302 to /login instead of 401',
  })
})

describe('what is served', () => {
  const missing = { status: 404, text: 'nothing here' }
  const content = /^[A-Z]+=/m
  test.each<[string, Said, boolean, boolean]>([
    ['the thing itself', { text: 'KEY=1' }, false, true],
    ['a page for every path', { text: '<!doctype html>\nKEY=1' }, false, false],
    ['declared as a page', { text: 'KEY=1', headers: { 'content-type': 'text/html' } }, false, true],
    ['with another good status', { status: 203, text: 'KEY=1' }, false, true],
    ['a page where one is meant', { text: '<html>\nKEY=1' }, true, true],
    ['a refusal that repeats it', { status: 404, text: 'KEY=1' }, false, false],
    ['something else', { text: 'hello' }, false, false],
  ])('%s', (_, answer, html, expected) =>
    expect(isThere(said(answer), content, missing, html)).toBe(expected),
  )

  test('what is served for every path proves nothing', () => {
    expect(isThere(said({ text: 'KEY=1' }), content, { status: 200, text: 'KEY=2' }, false)).toBe(false)
  })

  test.each([
    ['a page whose script looks like it', 200, '<!doctype html><script>\nKEY=1'],
    ['a refusal', 404, 'KEY=2'],
  ])('what is served for every path hides nothing where it is %s', (_, status, text) => {
    expect(isThere(said({ text: 'KEY=1' }), content, { status, text }, false)).toBe(true)
  })

  test.each<[string, boolean]>([
    ['DB_PASSWORD=hunter2', true],
    ['export DB_PASSWORD=hunter2', true],
    ['db_password=hunter2', true],
    ['DB_PASSWORD = hunter2', true],
    ['  Db_Password="hunter 2"\r\n', true],
    ['\uFEFFDB_PASSWORD=hunter2', true],
    ['# our own\n\nMODE=production', true],
    ['host=a\nport=1', true],
    ['spring.datasource.url=jdbc:x', false],
    ['spring.datasource.password=x', true],
    ['mode=production', false],
    ['{"error":"no such key"}', false],
    ['nothing = here is, no doubt', false],
    ['a == b', false],
    ['', false],
  ])('variables: %j: %p', (text, expected) => expect(assigns(text)).toBe(expected))

  const real: Record<string, string> = {
    '/.git/HEAD': 'ref: refs/heads/main\n',
    '/.git/config': '[core]\n\tbare = false\n',
    '/.env': 'DATABASE_URL=postgres://\n',
    '/.env.production': '# for production\nKEY=1\n',
    '/.npmrc': '//registry.example/:_authToken=abc\n',
    '/.aws/credentials': '[default]\naws_access_key_id = AKIA\n',
    '/.htpasswd': 'alice:$apr1$abc$def\n',
    '/backup.sql': '-- dump\nCREATE TABLE users (id int);\n',
    '/wp-config.php.bak': "define('DB_PASSWORD', 'x');",
    '/.svn/entries': '12\n\ndir\n',
    '/.DS_Store': '\0\0\0\x01Bud1\0',
    '/package.json': '{"name":"a","dependencies":{}}',
    '/Dockerfile': '# syntax=docker/dockerfile:1\nFROM oven/bun:1\n',
    '/docker-compose.yml': 'version: "3"\nservices:\n  app:\n',
    '/metrics': '# HELP up Up.\n# TYPE up gauge\nup 1\n',
    '/actuator/env': '{"activeProfiles":[],"propertySources":[]}',
    '/actuator': '{"_links":{"self":{},"heapdump":{}}}',
    '/debug/pprof/': '<html><title>/debug/pprof/</title>profiles:<br>goroutine</html>',
    '/debug/vars': '{"cmdline":[],"memstats":{}}',
    '/server-status': '<html><h1>Apache Server Status for localhost</h1></html>',
    '/nginx_status': 'Active connections: 1 \nserver accepts handled requests\n',
    '/phpinfo.php': '<!DOCTYPE html><html><title>PHP 8.2.1 - phpinfo()</title></html>',
    '/graphql?query=%7B__schema%7BqueryType%7Bname%7D%7D%7D':
      '{"data":{"__schema":{"queryType":{"name":"Query"}}}}',
    '/swagger.json': '{"swagger":"2.0"}',
    '/openapi.json': '{"openapi": "3.1.0"}',
    '/v3/api-docs': '{"openapi":"3.0.1"}',
  }
  test.each([...files, ...internals])('$path is known by what is in it', ({ path, content, html }) => {
    const text = real[path] ?? ''
    expect(isThere(said({ text }), content, missing, html === true)).toBe(true)
    const others = Object.entries(real).filter(([other]) => !other.startsWith(path.slice(0, 4)))
    const mistaken = others.filter(
      ([other, text]) =>
        !/json|docs|env.*aws/.test(path + other) && isThere(said({ text }), content, missing, false),
    )
    expect(mistaken.map(([other]) => other)).toEqual([])
  })
})

test.each([
  ['<script src="/a.js"></script><SCRIPT defer SRC = /b.js></SCRIPT>', ['/a.js', '/b.js']],
  ["<script>let src = '/c.js'</script><script type=module src='/d.js' ></script>", ['/d.js']],
  ['<scripts src=/e.js><img src=/f.png>', []],
])('the scripts of %s', (html, expected) => expect(scriptSources(html)).toEqual(expected))

function judgeAll(text: string): void {
  disclosure({ status: 500, text })
  scriptSources(text)
  reflection(text, 'zxabc')
  for (const { content, html } of [...files, ...internals])
    isThere({ status: 200, text }, content, { status: 404, text: '' }, html === true)
}

describe('512 KiB of hostile text cost less than 100 ms', () => {
  const parts =
    'at |at at a(|at a( in ) in |at /a:1|java.|Notice: x in |/|:1:1|/home/a/|<script |<script src |<?xml |"_links"|="|=\'|zxabc|zxabc"|<title> |a=\n|export |registry|registry =|1\n|1 |\n| |a|_|a.|C:\\'.split(
      '|',
    )
  judgeAll('warm')

  /** CPU time, in ms: the machine may be busy with other things. */
  const cost = (text: string): number => {
    const before = process.cpuUsage()
    judgeAll(text)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  }

  test.each(parts)('all judges together over %j', (part) => {
    const text = part.repeat(Math.ceil(524_288 / part.length)).slice(0, 524_288)
    expect(Math.min(cost(text), cost(text), cost(text))).toBeLessThan(100)
  })
})

test.each([
  ['escaped', '<p>zxabc&quot;&#39;&lt;zx&gt;</p>', undefined],
  ['a tag', `<p>zxabc"'<zx></p>`, 'own'],
  ['a tag behind escaped quotes', '<p>zxabc&quot;&#39;<zx></p>', 'own'],
  ['in an attribute', '<input value="zxabc"\'&lt;zx&gt;">', 'own'],
  ['in a single quoted attribute', "<input value='zxabc&quot;'&lt;zx&gt;'>", 'own'],
  ['escaped in an attribute', '<input value="zxabc&quot;\'&lt;zx&gt;">', undefined],
  ['encoded in a link', '<a href="/?q=zxabc%22%27%3Czx%3E">', undefined],
  ['quotes in text are harmless', `<p>zxabc"'&lt;zx&gt;</p>`, undefined],
  ['not there', '<p>hello</p>', undefined],
])('reflected input, %s', (_, html, expected) => expect(weight(reflection(html, 'zxabc'))).toBe(expected))

test('a flag of three characters is no session, whatever it is called', () => {
  expect(isSession({ name: 'logged_in_auth', value: 'yes' }, true)).toBe(false)
  expect(isSession({ name: 'logged_in_auth', value: 'true' }, true)).toBe(true)
})

test('a cookie of eight characters is a secret, a shorter one is a setting', () => {
  const secrets = new Secrets()
  secrets.addCookies(['a=12345678; Path=/', 'b=1234567'])
  expect(secrets.redact('12345678 1234567')).toMatch(/^\S+ 1234567$/)
  expect(secrets.redact('12345678')).not.toContain('1234567')
})

test('reflected input and a policy say what is wrong with them', () => {
  const page = 'writes the address into the page unescaped'
  expect(reflection(`<p>zxabc"'<zx></p>`, 'zxabc')).toBe(`${page}, as a tag`)
  expect(reflection('<input value="zxabc"\'&lt;zx&gt;">', 'zxabc')).toBe(`${page}, inside an attribute`)
  expect(contentSecurityPolicy('default-src')).toMatchObject({
    problem: expect.stringContaining('no object-src'),
  })
  expect(contentSecurityPolicy("script-src 'self'")).toMatchObject({
    problem: expect.stringContaining('no object-src'),
  })
})

test.each([
  ['https://evil.invalid/', 'own'],
  ['//evil.invalid/', 'own'],
  ['/\\evil.invalid/', 'own'],
  ['http://user@evil.invalid:8080/x', 'own'],
  ['/home', undefined],
  ['/home?next=//evil.invalid', undefined],
  ['https://evil.invalid.app.example/', undefined],
  ['https:///', undefined],
])('a redirect to %s: %p', (location, expected) =>
  expect(weight(offSite(said({ status: 302, headers: { location } }), new URL('http://app.example/')))).toBe(
    expected,
  ),
)

describe('what an error answer tells', () => {
  test.each([
    ['JavaScript', 'Error: x\n    at handler (/srv/app/index.js:10:5)'],
    ['JavaScript', 'at async file:///srv/app/index.js:10:5'],
    ['Python', 'Traceback (most recent call last):\n  File "a.py"'],
    ['Java', 'at com.example.App.main(App.java:10)'],
    ['.NET', 'at App.Run(String x) in C:\\a.cs:line 10'],
    ['PHP', '<b>Warning</b>: Undefined variable $a in <b>/var/www/a.php</b> on line <b>3</b>'],
    ['Ruby', "app/a.rb:10:in `show'"],
    ['Go', 'goroutine 12 [running]:'],
    ['database', 'ERROR: syntax error at or near "\'"'],
    ['database address', 'connect ECONNREFUSED postgres://app:secret@db/app'],
    ['debug page', '<title>Whoops! There was an error.</title>'],
    ['path', 'ENOENT: no such file /usr/src/app/data'],
    ['version', '<center>nginx/1.22.1</center>'],
  ])('%s: %s', (what, text) => {
    const fault = disclosure({ status: 500, text })
    expect(fault).toMatchObject({ problem: expect.stringContaining(what) })
    expect(JSON.stringify(fault)).not.toContain('secret')
  })

  test.each([
    [404, '{"error":"not_found","message":"There is nothing here."}'],
    [400, 'The body is not valid JSON at line 1, column 2.'],
    [200, '<p>Our office is at /home/visitors, and nginx/1.22.1 is great.</p>'],
    [200, '<script src="/app/dist/main.js"></script>'],
    [404, 'No such path: /api/conversations/not-an-id'],
  ])('nothing: %d %s', (status, text) => expect(disclosure({ status, text })).toBeUndefined())
})

describe('certificates', () => {
  const now = Date.parse('2030-01-01T00:00:00Z')
  const day = 86_400_000
  /** Of so many days, of which so many are left. */
  const shown = (days: number, left: number, problem?: string) => ({
    problem,
    validFrom: new Date(now - (days - left) * day).toUTCString(),
    validTo: new Date(now + left * day).toUTCString(),
  })
  test.each([
    ['new', shown(90, 90), undefined],
    // Renewal comes with a third left.
    ['90 days, renewed on the last day', shown(90, 30), undefined],
    ['90 days, 23 left', shown(90, 23), undefined],
    ['90 days, 22 left', shown(90, 22), 'own'],
    ['45 days, 15 left', shown(45, 15), undefined],
    ['45 days, 11 left', shown(45, 11), 'own'],
    ['6 days, 2 left', shown(6, 2), undefined],
    ['6 days, 1 left', shown(6, 1), 'own'],
    ['a year, 80 left', shown(365, 80), 'own'],
    ['not trusted', shown(90, 90, 'self signed'), 'critical'],
    ['over', shown(90, -1, 'expired'), 'critical'],
    ['no end', { ...shown(90, 90), validTo: 'someday' }, 'own'],
    ['no beginning', { ...shown(90, 90), validFrom: '' }, 'own'],
  ])('%s', (_, certificate, expected) => expect(weight(certificateFault(certificate, now))).toBe(expected))

  test('that little is left brings nobody back who is on the release already', () => {
    expect(weight(certificateFault(shown(90, 5), now, true))).toBe('low')
    expect(weight(certificateFault(shown(90, -1), now, true))).toBe('critical')
    expect(weight(certificateFault(shown(90, 90, 'self signed'), now, true))).toBe('critical')
  })

  const secure = new URL('https://app.example/')
  test.each([
    [301, 'https://app.example/', undefined],
    [308, 'https://app.example:443/x', undefined],
    [301, 'http://app.example/', 'own'],
    [301, 'https://other.example/', 'own'],
    [301, '/home', 'own'],
    [301, '', 'own'],
    [200, '', 'own'],
    [404, '', undefined],
  ])('plain http answers %d %s: %p', (status, location, expected) =>
    expect(weight(plainFault(said({ status, headers: { location } }), secure))).toBe(expected),
  )
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const random64 = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')

describe('forged sessions', () => {
  test.each([
    'abcdefghijklmnop',
    'AAAAAAAAAAAAAAAA',
    '0123456789abcdef',
    's%3Aabc%3D%3Ddefghijk',
    'ab',
    'eyJ.e30.c2ln',
  ])('%s changes by one letter, and not at its end', (value) => {
    for (const share of [0, 0.5, 0.9, 1]) {
      const other = flipped(value, share)
      expect(other).toHaveLength(value.length)
      expect(other.split('').filter((letter, at) => letter !== value[at])).toHaveLength(1)
      expect(other.toLowerCase()).not.toBe(value.toLowerCase())
      if (value.length > 4) expect(other.slice(-1)).toBe(value.slice(-1))
      expect([...other.matchAll(/%../g)].join()).toBe([...value.matchAll(/%../g)].join())
    }
  })

  test('none is the one that was handed out', () => {
    const session = { cookies: [{ name: 's', value: '0123456789abcdef' }] }
    const forged = forgeries(session)
    expect(forged).toHaveLength(3)
    for (const one of forged) expect(one.session).not.toEqual(session)
  })

  test.each([
    ['session=10042', '10042', /^\d{5}$/],
    ['hex', '00112233445566778899aabbccddeeff', /^[\da-f]{32}$/],
  ])('a digit becomes another digit: %s', (_, value, pattern) => {
    for (const share of [0, 0.5, 0.9]) expect(flipped(value.replace(/[a-f]/g, '0'), share)).toMatch(pattern)
  })

  const names = { own: 'alice', other: 'bob' }
  test.each([
    ['user-alice-1', 'user-bob-1'],
    [base64('user=alice'), base64('user=bob')],
    [base64('user=alice').replaceAll('=', '%3D'), base64('user=bob')],
  ])('%s becomes the other account’s', (value, expected) => {
    const forged = forgeries({ cookies: [{ name: 's', value }] }, names)
    expect(forged.at(-1)).toEqual({
      what: 'the name of another account in it',
      session: { cookies: [{ name: 's', value: expected }] },
    })
  })

  test('one that names nobody is not made another’s', () => {
    expect(forgeries({ cookies: [{ name: 's', value: '0123456789abcdef' }] }, names)).toHaveLength(3)
  })

  test('a sign-in is filled in as its type asks', () => {
    const json = { method: 'POST' as const, path: '/login', headers: { 'content-type': 'application/json' } }
    const body = '{"name":"{name}","password":"{password}"}'
    expect(signInQuestion({ ...json, body }, 'a"b', '{name}$&').body).toBe(
      String.raw`{"name":"a\"b","password":"{name}$&"}`,
    )
    const urlencoded = { accept: '*/*', 'Content-Type': 'application/x-www-form-urlencoded' }
    const form = { ...json, headers: urlencoded }
    expect(signInQuestion({ ...form, body: 'u={name}&p={password}' }, 'a&b', 'c d').body).toBe(
      'u=a%26b&p=c%20d',
    )
  })
})

test.each([
  [399, ['s']],
  [400, undefined],
])('an answer of %d to a sign-in hands out %p', (status, names) => {
  const handed = sessionOf({ ...said({ status }), cookies: ['s=1; HttpOnly'] }, undefined)
  expect(handed?.cookies.map(({ name }) => name)).toEqual(names)
})

describe('a session id that can be guessed', () => {
  test.each([
    ['counted', '10042', '10043', 'critical'],
    ['counted, and long', 'session-000000009999', 'session-000000010000', 'critical'],
    [
      'counted in hex',
      '00000000-0000-0000-0000-0000000000ff',
      '00000000-0000-0000-0000-000000000100',
      'critical',
    ],
    ['counted in base64', base64('user:alice:10042'), base64('user:alice:10044'), 'critical'],
    ['the time', '1764340000123456', '1764340000124001', 'critical'],
    ['the time, and not at once', '1764340000123456', '1764340009124001', 'own'],
    ['short', 'k3j9x2', 'p0q8z7', 'own'],
    ['of 15 characters', 'k3j9x2k3j9x2k3j', 'p0q8z7p0q8z7p0q', 'own'],
    ['mostly fixed', 'alice-session-k3j9x2', 'alice-session-p0q8z7', 'own'],
    [
      'a UUID of the time',
      '5c6e1f00-cc6a-11f0-8000-0242ac120002',
      '5c9b3c7e-cc6a-11f0-8000-0242ac120002',
      'own',
    ],
    ['a UUID', 'd6f0a2f1-5a51-4f57-9a2e-0f4b7f0e4c11', '1b1e7d83-3a0c-4a7b-8c3f-6e5f0b9c2d10', undefined],
    ['16 of hex', 'd6f0a2f15a514f57', '1b1e7d833a0c4a7b', undefined],
    [
      'the same, signed',
      base64('{"user":"alice","until":1}'),
      base64('{"user":"alice","until":1}'),
      undefined,
    ],
  ])('%s', (_, one, other, expected) => {
    expect(weight(guessable(one, other))).toBe(expected)
    expect(weight(guessable(other, one))).toBe(expected)
  })

  test('random ones of 64 bits are hardly ever taken for such', () => {
    const taken = Array.from({ length: 2000 }, () => guessable(random64(), random64())).filter(Boolean)
    // One in 10,000 is expected.
    expect(taken.length).toBeLessThan(5)
  })
})

test('secrets are taken out in each form they are written in', () => {
  const secrets = new Secrets()
  secrets.add('p"a ss')
  secrets.addCookies(['session=0123456789; Path=/', 'lang=en', 'signed=s%3A12345678'])
  const text = `p"a ss ${JSON.stringify({ p: 'p"a ss' })} p%22a%20ss 0123456789 lang=en s:12345678 s%3A12345678`
  expect(secrets.redact(text)).toBe('*** {"p":"***"} *** *** lang=en *** ***')
})

test('a cookie is taken out as it was set, and as it is read', () => {
  const secrets = new Secrets()
  secrets.addCookies(['a=a%2fb12345678'])
  expect(secrets.redact('a/b12345678 a%2fb12345678 a%2Fb12345678')).not.toContain('12345678')
  // What needed no escape and has one: nobody gets there from the value that it stands for.
  secrets.addCookies(['b=%7412345678'])
  expect(secrets.redact('t12345678 %7412345678')).not.toContain('12345678')
})

const outcome = (more: Partial<Outcome>): Outcome => ({
  seen: '1 page',
  observations: [],
  unanswered: [],
  ...more,
})

function framed(verdict: CheckResult['verdict']): CheckResult {
  return { gate: 'security', name: 'framing', verdict, ms: 1, expected: '', seen: '' }
}

describe('a verdict', () => {
  const check: Check = {
    id: 'framing',
    severity: 'medium',
    expected: '',
    fix: '',
    reference: '',
    probe: () => Promise.reject(new Error('not asked')),
  }
  const one = { problem: 'is open', method: 'GET', path: '/a?b', sent: '', back: '' }
  const waiver = { id: 'framing', reason: 'known', expires: '2030-01-31' }
  const now = Date.parse('2030-01-31T12:00:00Z')
  const policy = { failOn: 'medium' as const, waivers: [], now, redact: (text: string) => text }

  test.each([
    ['nothing found', outcome({}), policy, 'passed', '1 page, nothing found'],
    ['found', outcome({ observations: [one] }), policy, 'failed', 'medium: GET /a?b is open'],
    [
      'found twice',
      outcome({ observations: [one, { ...one, severity: 'high', path: '/c' }] }),
      policy,
      'failed',
      'high: GET /c is open (and 1 more)',
    ],
    [
      'found, and not all answered',
      outcome({ observations: [one], unanswered: ['no answer'] }),
      policy,
      'failed',
      'medium: GET /a?b is open',
    ],
    ['not all answered', outcome({ unanswered: ['no answer'] }), policy, 'inconclusive', 'no answer'],
    [
      'below the threshold',
      outcome({ observations: [one] }),
      { ...policy, failOn: 'high' as const },
      'passed',
      'medium: GET /a?b is open; below high',
    ],
    [
      'below, and not all answered',
      outcome({ observations: [one], unanswered: ['no answer'] }),
      { ...policy, failOn: 'high' as const },
      'inconclusive',
      'no answer',
    ],
    [
      'waived',
      outcome({ observations: [one] }),
      { ...policy, waivers: [waiver] },
      'passed',
      'medium: GET /a?b is open; waived until 2030-01-31: known',
    ],
    [
      'waived, and not all answered',
      outcome({ observations: [one], unanswered: ['no answer'] }),
      { ...policy, waivers: [waiver] },
      'inconclusive',
      'no answer',
    ],
    [
      'waived on its path',
      outcome({ observations: [one] }),
      { ...policy, waivers: [{ ...waiver, path: '/a' }] },
      'passed',
      'medium: GET /a?b is open; waived until 2030-01-31: known',
    ],
    [
      'waived on another',
      outcome({ observations: [one] }),
      { ...policy, waivers: [{ ...waiver, path: '/' }] },
      'failed',
      'medium: GET /a?b is open',
    ],
    [
      'waived too long ago',
      outcome({ observations: [one] }),
      { ...policy, waivers: [waiver], now: now + 86_400_000 },
      'failed',
      'medium: GET /a?b is open',
    ],
  ])('%s', (_, seen, given, verdict, sentence) =>
    expect(judge(check, seen, given)).toMatchObject({ verdict, seen: sentence }),
  )

  describe('of waivers', () => {
    const finding = judge(check, outcome({ observations: [one] }), { ...policy, waivers: [waiver] }).findings
    test.each([
      ['needed', 'passed', finding, '1 hold'],
      ['needed by what failed', 'failed', finding, '1 hold'],
      ['not needed', 'passed', [], 'matches nothing: framing (2030-01-31)'],
      ['not needed by what failed', 'failed', [], 'matches nothing: framing (2030-01-31)'],
      // Nobody knows whether it would have been.
      ['of a check that was not made', 'skipped', [], '1 hold'],
      ['of a check without an answer', 'inconclusive', [], '1 hold'],
    ] as const)('one that is %s', (_, verdict, findings, seen) => {
      expect(judgeWaivers({ ...policy, waivers: [waiver] }, [framed(verdict)], findings)).toEqual({
        verdict: 'passed',
        seen,
      })
    })

    test('one of a path that is longer than what is shown of it holds', () => {
      const path = `/${'long/'.repeat(20)}`
      const given = { ...policy, waivers: [{ ...waiver, path }] }
      const { seen, findings } = judge(check, outcome({ observations: [{ ...one, path }] }), given)
      expect(seen).toBe(`medium: GET ${path.slice(0, 60)}… is open; waived until 2030-01-31: known`)
      expect(judgeWaivers(given, [framed('passed')], findings).seen).toBe('1 hold')
    })

    test('of several, those that match nothing are counted', () => {
      const waivers = [waiver, { ...waiver, path: '/x' }, { ...waiver, path: '/y' }]
      expect(judgeWaivers({ ...policy, waivers }, [framed('passed')], finding).seen).toBe(
        'matches nothing: framing on /x (2030-01-31) (and 1 more)',
      )
    })
  })

  test('a date that is none has expired', () => {
    expect(hasExpired({ ...waiver, expires: 'never' }, now)).toBe(true)
    expect(covers(waiver, 'hsts', '/')).toBe(false)
  })

  test('a check that is left out takes no time, and says until when and why', () => {
    const hsts = { gate: 'security', name: 'hsts', expected: 'a year of HTTPS' }
    const until = (expires: string) => leftOut(hsts, { expires, reason: 'the proxy is new' }, now)
    const none = { ...hsts, ms: 0 }
    const why = 'the proxy is new'
    expect(until('2030-01-31')).toEqual({
      ...none,
      verdict: 'skipped',
      seen: `left out until 2030-01-31: ${why}`,
    })
    expect(until('2020-01-31')).toEqual({
      ...none,
      verdict: 'failed',
      seen: `its skip has expired, it was left out until 2020-01-31: ${why}`,
    })
  })
})
