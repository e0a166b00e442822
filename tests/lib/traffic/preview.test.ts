import { describe, expect, test } from 'bun:test'
import type { Command, Running, Shell } from '../../../lib/command.ts'
import { withPreview } from '../../../lib/traffic/preview.ts'
import { APP, service } from '../objects.ts'
import { failure, rehearse, type Rehearsal } from '../world.ts'

const fail = (): never => {
  throw new Error('only started')
}

/** A shell that forwards a port, or does not. */
function forwarding(line: string | undefined): Shell & { started: Command[]; stopped: number } {
  const shell = {
    started: [] as Command[],
    stopped: 0,
    read: fail,
    write: fail,
    start: async (command: Command): Promise<Running> => {
      shell.started.push(command)
      return {
        line: (pattern) => {
          const found = line === undefined ? null : pattern.exec(line)
          return found ? Promise.resolve(found) : Promise.reject(new Error('says nothing'))
        },
        stop: () => Promise.resolve(void shell.stopped++),
      }
    },
  }
  return shell
}

const PREVIEW = `${APP}-preview`

/** A world whose preview has no address, but a Service with these ports. */
function withService(ports: object[] = [{ port: 80 }]): Rehearsal {
  const rehearsal = rehearse({ previewUrl: undefined })
  rehearsal.cluster.put({ ...service(PREVIEW), spec: { ports } })
  return rehearsal
}

describe('the preview', () => {
  test('has an address of its own', async () => {
    await using rehearsal = rehearse({ previewUrl: 'https://preview.example.com' })
    const shell = forwarding(undefined)
    expect(await withPreview({ ...rehearsal.world, shell }, (preview) => Promise.resolve(preview))).toEqual({
      url: 'https://preview.example.com',
      forwarded: false,
    })
    expect(shell.started).toEqual([])
  })

  test('or is reached through the cluster that is meant, until it has been used', async () => {
    await using rehearsal = withService()
    const shell = forwarding('Forwarding from 127.0.0.1:40123 -> 3000')
    expect(
      await withPreview({ ...rehearsal.world, shell }, (preview) =>
        Promise.resolve({ ...preview, stopped: shell.stopped }),
      ),
    ).toEqual({ url: 'http://127.0.0.1:40123', forwarded: true, stopped: 0 })
    expect(shell.started).toEqual([
      ['kubectl', '--context=test', '--namespace=chat-test', 'port-forward', 'service/chat-preview', ':80'],
    ])
    expect(shell.stopped).toBe(1)
  })

  test.each([
    ['the first', [{ port: 8080 }, { port: 9090 }], ':8080'],
    [
      'the one that is called http',
      [
        { name: 'grpc', port: 50_051 },
        { name: 'http', port: 3000 },
      ],
      ':3000',
    ],
    [
      'though it speaks https as well',
      [
        { name: 'https', port: 443 },
        { name: 'http', port: 80 },
      ],
      ':80',
    ],
  ])('by the port of its Service: %s', async (_, ports, expected) => {
    await using rehearsal = withService(ports)
    const shell = forwarding('Forwarding from 127.0.0.1:40123 -> 3000')
    await withPreview({ ...rehearsal.world, shell }, () => Promise.resolve())
    expect(shell.started[0]?.at(-1)).toBe(expected)
  })

  test.each([
    [
      'https alone',
      [{ name: 'https', port: 8443 }],
      /^Service chat-preview speaks https \(port 8443\), and no/,
    ],
    ['https by its number', [{ port: 443 }], /^Service chat-preview speaks https \(port 443\).*"previewUrl"/],
    ['no port', [], /^Service chat-preview has no port, or is not there: set "previewUrl"/],
  ])('%s cannot be forwarded, which is said', async (_, ports, message) => {
    await using rehearsal = withService(ports)
    const shell = forwarding('Forwarding from 127.0.0.1:40123 -> 3000')
    const failed = await failure(withPreview({ ...rehearsal.world, shell }, () => Promise.resolve()))
    expect(failed).toMatchObject({ code: 1, message: expect.stringMatching(message) })
    expect(shell.started).toEqual([])
  })

  test.each([
    ['what it is used for fails', 'Forwarding from 127.0.0.1:1 -> 2', 'used'],
    ['nothing is forwarded', undefined, 'says nothing'],
  ])('the forward ends when %s', async (_, line, message) => {
    await using rehearsal = withService()
    const shell = forwarding(line)
    const used = withPreview({ ...rehearsal.world, shell }, () => Promise.reject(new Error('used')))
    expect(used).rejects.toThrow(message)
    await used.catch(() => {})
    expect(shell.stopped).toBe(1)
  })
})
