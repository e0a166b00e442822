import { describe, expect, test } from 'bun:test'
import type { Command, Running, Shell } from '../../../lib/command.ts'
import { withPreview } from '../../../lib/traffic/preview.ts'
import { rehearse } from '../world.ts'

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
    start: (command: Command): Running => {
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
    await using rehearsal = rehearse({ previewUrl: undefined })
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
    ['what it is used for fails', 'Forwarding from 127.0.0.1:1 -> 2', 'used'],
    ['nothing is forwarded', undefined, 'says nothing'],
  ])('the forward ends when %s', async (_, line, message) => {
    await using rehearsal = rehearse({ previewUrl: undefined })
    const shell = forwarding(line)
    expect(
      withPreview({ ...rehearsal.world, shell }, () => Promise.reject(new Error('used'))),
    ).rejects.toThrow(message)
    await Bun.sleep(0)
    expect(shell.stopped).toBe(1)
  })
})
