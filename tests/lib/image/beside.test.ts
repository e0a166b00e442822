import { afterAll, describe, expect, test } from 'bun:test'
import { shell } from '../../../lib/command.ts'
import { besideOf, findRelease, pushRelease } from '../../../lib/image/beside.ts'
import { readManifest } from '../../../lib/image/registry.ts'
import type { Release } from '../../../lib/image/release-file.ts'
import { pushImage } from '../../../sandbox/push.ts'
import { serveRegistry } from '../../../sandbox/registry.ts'
import { hostile } from '../hostile.ts'
import { digest } from '../objects.ts'
import { failure } from '../world.ts'
import { putBeside } from './putting.ts'
import { fronted, immutable } from './registries.ts'

const release: Release = {
  image: 'ghcr.io/team/chat',
  digest: digest('a'),
  tags: ['1.2.3', 'sha-860c190'],
  version: '1.2.3',
  commit: '860c1904a1ce19322e91ac35af1ab07466440c37',
  builtAt: '2026-11-23T08:00:00.000Z',
  sbom: { file: 'reports/docker/sbom.cdx.json', sha256: 'a'.repeat(64), bytes: 10 },
  stages: {},
}
const silent = shell(() => {})
const find = (image: string) => findRelease(image, silent)
const registry = serveRegistry()
afterAll(() => registry.stop())
let count = 0

/** An image of its own each time, with this beside it. */
async function beside(text: string, as?: Parameters<typeof putBeside>[3]): Promise<string> {
  const image = `${registry.address}/chat-${count++}`
  await putBeside(image, release.digest, text, as)
  return `${image}@${release.digest}`
}

describe('what the registry keeps', () => {
  test('is found by the digest', async () =>
    expect(await find(await beside(JSON.stringify(release)))).toEqual(release))

  test('is none where nothing was pushed', async () =>
    expect(await find(`${registry.address}/never@${release.digest}`)).toBeUndefined())

  test('the last one counts where tags cannot be moved', async () => {
    const image = await beside(JSON.stringify(release))
    const renewed = { ...release, version: '1.2.4' }
    await putBeside(image.split('@')[0] ?? '', release.digest, JSON.stringify(renewed), { renewal: 2 })
    expect(await find(image)).toEqual(renewed)
  })

  test("another digest's is none", async () => {
    const image = await beside(JSON.stringify({ ...release, digest: digest('b') }))
    expect(await failure(find(image))).toEqual({
      code: 1,
      message: "what the registry keeps beside it is another digest's",
    })
  })

  const no = { code: 1, message: 'what the registry keeps beside it is no release file' }

  test('an image is none, nor is an artifact of another kind', async () => {
    const name = `${registry.address}/chat-${count++}`
    await pushImage(besideOf(name, release.digest), { entrypoint: [] })
    expect(await failure(find(`${name}@${release.digest}`))).toEqual(no)
    const other = await beside(JSON.stringify(release), { type: 'application/vnd.other+json' })
    expect(await failure(find(other))).toEqual(no)
  })

  const spoiled = [
    ...hostile,
    '{}',
    'null',
    JSON.stringify({ ...release, '\u001B[31m': 1 }),
    JSON.stringify({ ...release, stages: { test: { passed: 'true' } } }),
    JSON.stringify({ ...release, stages: { ['x\u001B[2J']: {} } }),
  ]
  test.each(spoiled)('%j is none, and is not repeated', async (text) =>
    expect(await failure(find(await beside(text)))).toEqual(no),
  )
})

const pushed = async (host: string, more: Partial<Release> = {}) => {
  const own = { ...release, image: `${host}/chat`, ...more }
  await pushRelease(own, silent)
  return own
}

describe('what is pushed', () => {
  test('is an artifact of one layer, the release as a file, with an empty configuration that is there', async () => {
    const { image } = await pushed(registry.address)
    const manifest = await readManifest(besideOf(image, release.digest), silent)
    expect(JSON.parse(manifest?.content.toString() ?? '')).toMatchObject({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: 'application/vnd.deploy-scripts.release.v1+json',
      // The digest of `{}`, as the image specification gives it.
      config: {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
        size: 2,
      },
      layers: [{ annotations: { 'org.opencontainers.image.title': 'release.json' } }],
    })
    expect(manifest?.type).toBe('application/vnd.oci.image.manifest.v1+json')
  })

  test('takes the place of an earlier one', async () => {
    await pushed(registry.address)
    const own = await pushed(registry.address, { version: '2.0.0' })
    expect(await find(`${own.image}@${own.digest}`)).toEqual(own)
    expect(await readManifest(besideOf(own.image, own.digest, 2), silent)).toBeUndefined()
  })

  test.each([400, 409, 412])('goes behind it where tags cannot be moved (%d)', async (status) => {
    using server = immutable(status)
    for (const version of ['1.0.0', '1.0.0', '2.0.0', '3.0.0']) {
      const own = await pushed(server.host, { version })
      expect(await find(`${own.image}@${own.digest}`)).toEqual(own)
    }
    // The one that was there already is not pushed again.
    expect(await readManifest(besideOf(`${server.host}/chat`, release.digest, 3), silent)).toBeDefined()
    expect(await readManifest(besideOf(`${server.host}/chat`, release.digest, 4), silent)).toBeUndefined()
  })

  test('and is refused for another reason: the reason is told', async () => {
    using server = fronted((request) =>
      request.method === 'PUT' && request.url.includes('/manifests/')
        ? Response.json({ errors: [{ code: 'DENIED', message: '\u001B[31m' }] }, { status: 403 })
        : undefined,
    )
    const { message } = (await failure(pushed(server.host))) ?? {}
    expect(message).toEndWith('.release: 403 DENIED')
  })

  test('and is replaced at the same moment: it is no proof', async () => {
    using server = fronted(async (request, host) => {
      if (request.method !== 'HEAD' || !request.url.endsWith('.release') || raced) return undefined
      const { status } = await fetch(`http://${host}/v2/chat/manifests/${besideOf('', digest('a')).slice(1)}`)
      if (status !== 200) return undefined
      raced = true
      await putBeside(`${host}/chat`, release.digest, JSON.stringify({ ...release, version: '6.6.6' }))
      return undefined
    })
    let raced = false
    expect(await failure(pushed(server.host))).toMatchObject({
      code: 1,
      message: expect.stringContaining('.release is not what was pushed, so another push was at work'),
    })
  })
})
