import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { key } from '../../../lib/app/color.ts'
import { labelValue, render, type Painting, type Rendered } from '../../../lib/app/paint.ts'
import { APP, made } from '../objects.ts'
import { failure, rehearse } from '../world.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

describe('labelValue', () => {
  test.each([
    ['1.2.3', '1.2.3'],
    ['feature/chat#7', 'feature-chat-7'],
    ['-v1-', 'v1'],
    ['...', ''],
    ['', ''],
    ['a b', 'a-b'],
    ['ä', ''],
    [`${'a'.repeat(62)}.b`, 'a'.repeat(62)],
    ['x'.repeat(80), 'x'.repeat(63)],
  ])('%s', (text, expected) => expect(labelValue(text)).toBe(expected))
})

const folder = join(import.meta.dir, '../manifests')
const next = made('1.1.0')

async function rendered(painting: Partial<Painting> = {}, manifests = folder): Promise<Rendered> {
  await using rehearsal = rehearse({ manifests })
  const { cluster, world } = rehearsal
  cluster.intercept = (line) => cluster.kustomize(line)
  return await render(world, { release: next, color: 'green', ...painting })
}

/** The overlay with one file changed. */
async function spoiled(
  name: string,
  from: RegExp,
  to: string,
): Promise<{ code: number | string; message: string }> {
  const copy = mkdtempSync(join(realpathSync(tmpdir()), 'manifests-test-'))
  try {
    cpSync(folder, copy, { recursive: true })
    const text = await Bun.file(join(copy, name)).text()
    writeFileSync(join(copy, name), text.replace(from, to))
    return await failure(rendered({}, copy))
  } finally {
    rmSync(copy, { recursive: true })
  }
}

describe('render, with the real kustomize', () => {
  test('paints the color, the digest and the release in', async () => {
    const { painted, kept, shared, compared, migration } = await rendered()
    const [app, scaler] = painted
    const [plain] = kept
    const about = { [key.release]: next.release, [key.version]: next.version, [key.image]: next.image }
    expect(app?.metadata).toMatchObject({
      name: 'chat-green',
      annotations: about,
      labels: { app: APP, color: 'green' },
    })
    expect(app?.spec).toMatchObject({
      selector: { matchLabels: { app: APP, color: 'green' } },
      template: {
        metadata: {
          labels: { app: APP, color: 'green', 'app.kubernetes.io/version': '1.1.0' },
          annotations: about,
        },
        spec: { containers: [{ image: next.image }, { image: 'proxy:1' }] },
      },
    })
    expect(scaler?.spec).toMatchObject({ scaleTargetRef: { name: 'chat-green' } })
    expect(plain?.metadata.name).toBe(APP)
    expect(JSON.stringify(plain)).not.toContain('green')
    expect(shared.map(({ spec }) => spec?.selector)).toStrictEqual([undefined, undefined])
    expect([compared, migration]).toEqual([[], []])
    expect(JSON.stringify([painted, kept, shared])).not.toContain('deploy-scripts/part')
  })

  test('a release is painted again from what its record kept', async () => {
    const { kept } = await rendered()
    const again = await rendered({ kept, color: 'blue', release: made('1.1.0') })
    expect(again.painted[0]?.metadata.name).toBe('chat-blue')
    expect(again.shared).toEqual([])
    const images = JSON.stringify(again.painted).match(/"image":"[^"]+"/g)
    expect(images).toEqual([`"image":"${next.image}"`, '"image":"proxy:1"'])
  })

  test('what is live is painted too, to be compared', async () => {
    const { compared } = await rendered({ live: { color: 'blue', release: made('1.0.0') } })
    expect(compared[0]?.metadata).toMatchObject({
      name: 'chat-blue',
      annotations: { [key.release]: 'r1.0.0' },
    })
    expect(JSON.stringify(compared)).toContain(next.image)
  })

  test('without a color nothing is painted but the release', async () => {
    await using rehearsal = rehearse({ manifests: folder })
    const { cluster, world } = rehearsal
    cluster.intercept = (line) => cluster.kustomize(line)
    const { painted, kept } = await render(world, { release: next })
    expect(painted[0]?.metadata.name).toBe(APP)
    expect(JSON.stringify(painted)).not.toContain('"color"')
    expect(kept).toEqual(painted)
  })

  test.each<[string, string, RegExp, string, RegExp]>([
    [
      'no Deployment of that name',
      'painted/app.yaml',
      /name: chat$/m,
      'name: other',
      /must hold one Deployment, named chat; it holds other$/,
    ],
    [
      'no Deployment',
      'painted/app.yaml',
      /^kind: Deployment$/m,
      'kind: StatefulSet',
      /named chat; it holds none$/,
    ],
    [
      "no container with the app's image",
      'painted/app.yaml',
      /image: chat /,
      'image: char ',
      /no container has the image "chat"/,
    ],
    [
      'no kustomization',
      'painted/kustomization.yaml',
      /app\.yaml/,
      'gone.yaml',
      /kubectl kustomize .*gone\.yaml/,
    ],
  ])('%s', async (_, name, from, to, message) => {
    const { message: said } = await spoiled(name, from, to)
    expect(said).toMatch(message)
  })

  test('no folder painted', async () => {
    expect(await failure(rendered({}, '/nowhere'))).toMatchObject({
      code: 2,
      message: expect.stringMatching(/^\/nowhere holds no folder "painted"/),
    })
  })
})
