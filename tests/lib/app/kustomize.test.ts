import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { render, type Painting, type Rendered } from '../../../lib/app/paint.ts'
import type { Manifest } from '../../../lib/cluster/objects.ts'
import { deployment, made } from '../objects.ts'
import { failure, rehearse } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

/** What YAML 1.1 or 1.2, or both, would take for something else than a string. */
const DECEPTIVE = [
  ['2024-06-20', '2001-1-1', '2024-06-20T12:30:45Z', '2001-12-14t21:59:43.10-05:00', '12:30:45', '1:20'],
  ['1_000', '1__2', '1_0.5', '0b11', '-0b11', '0b2', '0777', '08', '00', '0o14', '+0o14', '0o8', '0x1F'],
  ['1', '-0', '+12', '1.0', '1.', '.5', '1e3', '1E3', '1e', 'e1', '6e5_3', '1,000', '190:20:30.15'],
  // A commit's short hash, and others beyond what a number holds.
  ['1e45678', '12e4567', '-1e999', '1E400', '01e500', '0.1e-400', '9'.repeat(23), '9'.repeat(400)],
  [`0x${'a1'.repeat(20)}`, `-0x${'f'.repeat(30)}`, `0o${'7'.repeat(40)}`, `0b${'1'.repeat(100)}`],
  ['y', 'n', 'yes', 'No', 'on', 'off', 'true', 'TRUE', 'False', '~', 'null', 'Null', 'NULL', ''],
  ['.inf', '-.INF', '+.inf', '.nan', '.NaN', 'Infinity', 'NaN', '=', '<<', '.', '..', '...', '---', '--- a'],
  [' a ', ' ', '\t', 'a\tb', '\n', 'a\n', '\na', 'a\nb', '  lead\nb', 'a \n b', 'a\r\nb', 'a\n---\nb'],
  [
    'a: b',
    'a #b',
    '#a',
    '- a',
    '-',
    '? a',
    ':',
    '!tag',
    '&a',
    '*a',
    '%a',
    '@a',
    '`a',
    '{a}',
    '[a]',
    '|',
    '>',
  ],
  ['"', "'", '\\', '\\n', '\u00a0', '\u200b', 'é', '😀', `${'a'.repeat(200)} ${'b'.repeat(200)}`],
].flat()

const configMap = (data: Record<string, string>): Manifest => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', namespace: 'chat-test' },
  data,
})

const keyed = Object.fromEntries(DECEPTIVE.map((text, i) => [`k${i}`, text]))
const env = DECEPTIVE.map((value, i) => ({ name: `E${i}`, value }))
const release = made('1.1.0')

/** A Deployment as a record keeps it: without a color, with the image by its digest. */
function kept(about: object): Manifest {
  const { metadata, ...rest } = deployment('plain', release)
  const containers = [{ name: 'app', image: release.image, ...about }]
  const spec = { replicas: 2, template: { metadata: { labels: { app: 'chat' } }, spec: { containers } } }
  return { ...rest, metadata: { name: metadata.name, namespace: 'chat-test' }, spec }
}

async function rendered(painting: Partial<Painting>, manifests = OVERLAY): Promise<Rendered> {
  await using rehearsal = rehearse({ manifests })
  const { cluster, world } = rehearsal
  cluster.intercept = (line) => cluster.kustomize(line)
  return await render(world, { release, color: 'green', ...painting })
}

const OVERLAY = join(import.meta.dir, '../manifests')

/** The overlay with one more object. */
async function renderedWith(text: string): Promise<Rendered> {
  const copy = mkdtempSync(join(realpathSync(tmpdir()), 'kustomize-test-'))
  try {
    cpSync(OVERLAY, copy, { recursive: true })
    writeFileSync(join(copy, 'painted/more.yaml'), text)
    writeFileSync(join(copy, 'painted/kustomization.yaml'), 'resources: [app.yaml, more.yaml]')
    return await rendered({}, copy)
  } finally {
    rmSync(copy, { recursive: true })
  }
}

const find = (objects: readonly Manifest[], wanted: string): Manifest | undefined =>
  objects.find(({ kind }) => kind === wanted)

describe('with the real kustomize, a release comes back from its record as it was kept', () => {
  test('strings that look like something else, as configuration and in the environment', async () => {
    const { kept: before } = await rendered({ kept: [configMap(keyed), kept({ env })] })
    const again = await rendered({ kept: before })
    expect(again.kept).toEqual(before)
    expect(find(again.painted, 'ConfigMap')?.data).toEqual(keyed)
    expect(find(again.painted, 'Deployment')?.spec?.template).toMatchObject({
      spec: { containers: [{ env }] },
    })
  })

  test('and so do numbers, truth and nothing', async () => {
    const about = { one: 1, less: -3, part: 1.5, small: 1e-7, large: 1e21, whole: 2 ** 53 - 1, zero: 0 }
    const more = { yes: true, no: false, nothing: null, list: [], map: {} }
    const { kept: before } = await rendered({ kept: [kept({ ...about, ...more })] })
    const again = await rendered({ kept: before })
    expect(again.kept).toEqual(before)
    expect(again.painted[0]?.spec?.template).toMatchObject({ spec: { containers: [{ ...about, ...more }] } })
  })
})

test('what kustomize reads from an overlay is what is applied', async () => {
  const data = DECEPTIVE.map((text, i) => `  k${i}: ${JSON.stringify(text)}`).join('\n')
  const { painted } = await renderedWith(
    `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata:\n${data}\n`,
  )
  expect(find(painted, 'ConfigMap')?.data).toEqual(keyed)
})

test('a number in an overlay is one to kustomize, octal as file modes are written', async () => {
  const { painted } = await renderedWith(
    'apiVersion: example.com/v1\nkind: Thing\nmetadata: { name: t }\nspec: { mode: 0440, big: 1e3, really: true }\n',
  )
  expect(find(painted, 'Thing')?.spec).toEqual({ mode: 0o440, big: 1000, really: true })
})

test.each(['2024-06-20', '1_000', '0b11', '1e45678', '0777', 'on', '~', '1.10'])(
  'a release may be called %s',
  async (version) => {
    const { painted } = await rendered({ release: { ...release, version } })
    expect(painted[0]?.metadata.annotations).toMatchObject({ 'deploy-scripts/version': version })
  },
)

test.each([
  ['\u2028', 'U+2028'],
  ['\u2029', 'U+2029'],
])('a line separator that kustomize does not keep is refused, not altered: %j', async (separator, name) => {
  const failed = await failure(rendered({ kept: [configMap({ text: `a${separator}b` }), kept({})] }))
  expect(failed).toMatchObject({
    code: 2,
    message: expect.stringContaining(`"text: 'a", the line separator ${name}`),
  })
})
