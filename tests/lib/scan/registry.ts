/**
 * A registry on 127.0.0.1 that knows two packages, `parent`, which needs `victim`, and an advisory for the latter.
 * What it answers when it is asked for advisories is the first part of its address: `http://127.0.0.1:1/high/`.
 */
const versions = ['1.0.0', '1.2.3']
const needs: Record<string, Record<string, string>> = {
  'parent@1.0.0': { victim: '1.0.0' },
  'parent@1.2.3': { victim: '1.2.3' },
}

export const advisory = (severity: string, title = 'Prototype pollution') => ({
  id: 1001,
  url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc',
  title,
  severity,
  vulnerable_versions: '<1.2.3',
  cwe: ['CWE-1321'],
  cvss: { score: 0, vectorString: null },
})

const answers: Record<string, () => Response> = {
  none: () => Response.json({}),
  malformed: () => new Response('<html>maintenance</html>'),
  list: () => Response.json({ victim: 'all of it' }),
  broken: () => new Response('broken', { status: 500 }),
}

export interface Registry extends AsyncDisposable {
  /** The address of the registry that answers so. */
  url(answer: string): string
  /** The packages that it was asked about. */
  asked: Record<string, string[]>[]
  /** Titles of the advisory, by its severity. */
  titles: Record<string, string>
}

export function registry(): Registry {
  const asked: Registry['asked'] = []
  const titles: Registry['titles'] = {}
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const [, mood = '', ...rest] = new URL(request.url).pathname.split('/')
      const path = rest.join('/')
      if (path !== '-/npm/v1/security/advisories/bulk') return packument(path)
      const body = new Uint8Array(await request.arrayBuffer())
      const zipped = request.headers.get('content-encoding') === 'gzip'
      const question = JSON.parse(new TextDecoder().decode(zipped ? Bun.gunzipSync(body) : body))
      asked.push(question)
      const answer = answers[mood]
      if (answer) return answer()
      return Response.json('victim' in question ? { victim: [advisory(mood, titles[mood])] } : {})
    },
  })
  return {
    url: (answer) => `${server.url.href}${answer}/`,
    asked,
    titles,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  }
}

function packument(name: string): Response {
  if (name !== 'parent' && name !== 'victim') return Response.json({}, { status: 404 })
  const of = (version: string) => ({
    name,
    version,
    dependencies: needs[`${name}@${version}`] ?? {},
    dist: { tarball: 'http://127.0.0.1:9/none.tgz', integrity: 'sha512-AAAA' },
  })
  const all = Object.fromEntries(versions.map((version) => [version, of(version)]))
  return Response.json({ name, 'dist-tags': { latest: '1.2.3' }, versions: all })
}

const manifest = { name: 'app', version: '1.0.0', dependencies: { parent: '1.0.0' } }
export const packageJson = JSON.stringify(manifest)

const installed = (extra = {}) => ({ version: '1.0.0', resolved: 'http://127.0.0.1:9/a.tgz', ...extra })
export const packageLock = JSON.stringify(
  {
    name: 'app',
    version: '1.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': manifest,
      'node_modules/parent': installed({ dependencies: { victim: '1.0.0' } }),
      'node_modules/victim': installed(),
    },
  },
  undefined,
  2,
)

/** Bun checks that the digest is one. */
const digest = `sha512-${Buffer.alloc(64).toString('base64')}`
export const bunLock = `{
  "lockfileVersion": 1,
  "workspaces": {
    "": {
      "name": "app",
      "dependencies": {
        "parent": "1.0.0",
      },
    },
  },
  "packages": {
    "parent": ["parent@1.0.0", "", { "dependencies": { "victim": "1.0.0" } }, "${digest}"],

    "victim": ["victim@1.0.0", "", {}, "${digest}"],
  }
}
`
