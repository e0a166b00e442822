/** Paths that attackers try first, and what is in the answer when the thing itself is served. */
import type { Severity } from '../../lib/settings/gates.ts'

export interface Exposed {
  path: string
  /** In a sentence: "serves …". */
  what: string
  content: Content
  severity: Severity
  /** A page for people, where the others are files and data. */
  html?: true
}

/** What tells the thing itself. A pattern takes time in proportion to the text, whatever that is: strangers write it. */
export type Content = Pick<RegExp, 'test'>

const SECRET = /pass|pwd|secret|token|key|auth|credential|private|dsn|database/i

/**
 * One assignment in capitals, as such files are written; or one whose name promises a secret, or several, however they
 * are written: `export db_password = x`.
 */
export function assigns(text: string): boolean {
  const lines = text.matchAll(/^[^\S\n]{0,20}(?:export[^\S\n]{1,9})?([a-z_][\w.]{0,99})[^\S\n]{0,20}=/gim)
  let count = 0
  for (const [, name = ''] of lines) if (++count > 1 || SECRET.test(name) || !/[a-z]/.test(name)) return true
  return false
}

const variables = {
  what: 'environment variables',
  content: { test: assigns },
  severity: 'critical',
} as const

export const files: Exposed[] = [
  { path: '/.git/HEAD', what: 'its git repository', content: /^ref: refs\//, severity: 'critical' },
  { path: '/.git/config', what: 'its git configuration', content: /^\[core\]/m, severity: 'critical' },
  { path: '/.env', ...variables },
  { path: '/.env.production', ...variables },
  {
    path: '/.npmrc',
    what: 'its registry access',
    content: /^\S*(_authToken|registry)\s*=/m,
    severity: 'critical',
  },
  {
    path: '/.aws/credentials',
    what: 'cloud credentials',
    content: /aws_access_key_id/i,
    severity: 'critical',
  },
  { path: '/.htpasswd', what: 'password hashes', content: /^[^:\s<]+:(\$|\{SHA\})/m, severity: 'critical' },
  {
    path: '/backup.sql',
    what: 'a database dump',
    content: /^(CREATE TABLE|INSERT INTO)\b/m,
    severity: 'critical',
  },
  {
    path: '/wp-config.php.bak',
    what: 'a configuration with passwords',
    content: /DB_PASSWORD/,
    severity: 'critical',
  },
  {
    path: '/.svn/entries',
    what: 'its svn repository',
    content: /^(\d+\s*$|<\?xml[^<>]*>\s*<wc-entries)/m,
    severity: 'high',
  },
  { path: '/.DS_Store', what: 'a list of its files', content: /Bud1/, severity: 'low' },
  {
    path: '/package.json',
    what: 'its dependencies',
    content: /"(dependencies|scripts)"\s*:/,
    severity: 'medium',
  },
  { path: '/Dockerfile', what: 'how its image is built', content: /^FROM \S+/m, severity: 'medium' },
  { path: '/docker-compose.yml', what: 'how it is run', content: /^services:/m, severity: 'high' },
]

/** Not /actuator/heapdump: to ask for it stops the process while it is written. */
export const internals: Exposed[] = [
  { path: '/metrics', what: 'its metrics', content: /^# (HELP|TYPE) /m, severity: 'medium' },
  {
    path: '/actuator/env',
    what: 'its settings',
    content: /"(propertySources|activeProfiles)"/,
    severity: 'high',
  },
  {
    path: '/actuator',
    what: 'its management endpoints',
    content: { test: (text) => text.includes('"_links"') && /env|heapdump|shutdown/.test(text) },
    severity: 'medium',
  },
  {
    path: '/debug/pprof/',
    what: 'its profiler',
    content: /goroutine|profiles:/,
    severity: 'high',
    html: true,
  },
  { path: '/debug/vars', what: 'its memory statistics', content: /"memstats"/, severity: 'medium' },
  {
    path: '/server-status',
    what: 'the server’s requests',
    content: /Apache Server Status/,
    severity: 'medium',
    html: true,
  },
  {
    path: '/nginx_status',
    what: 'the server’s connections',
    content: /^Active connections:/m,
    severity: 'low',
  },
  {
    path: '/phpinfo.php',
    what: 'phpinfo()',
    content: /phpinfo\(\)|<title>PHP [\d.]+/,
    severity: 'high',
    html: true,
  },
  {
    path: '/graphql?query=%7B__schema%7BqueryType%7Bname%7D%7D%7D',
    what: 'its GraphQL schema',
    content: /"__schema"/,
    severity: 'low',
  },
  {
    path: '/swagger.json',
    what: 'a description of its API',
    content: /"(swagger|openapi)"\s*:/,
    severity: 'low',
  },
  {
    path: '/openapi.json',
    what: 'a description of its API',
    content: /"(swagger|openapi)"\s*:/,
    severity: 'low',
  },
  {
    path: '/v3/api-docs',
    what: 'a description of its API',
    content: /"(swagger|openapi)"\s*:/,
    severity: 'low',
  },
]
