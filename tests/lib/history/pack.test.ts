import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { tooLargeToKeep } from '../../../lib/history/pack.ts'
import { deployment, made } from '../objects.ts'

/** A release whose configuration holds a text. */
const of = (text: string) => [
  deployment('plain', made('1.0.0')),
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'chat-files' }, data: { text } },
]

describe('manifests that a record cannot hold are told before it is opened', () => {
  const KIB = 1024

  test.each([
    ['little', 'a'],
    ['much that packs well', 'a'.repeat(5000 * KIB)],
    // Two letters for each byte, which packing takes back.
    ['just as much as there is room for', randomBytes(750 * KIB).toString('hex')],
  ])('not %s', (_, text) => expect(tooLargeToKeep(of(text))).toBeUndefined())

  test('more than that, naming what is largest', () => {
    expect(tooLargeToKeep(of(randomBytes(900 * KIB).toString('hex')))).toMatch(
      /^The manifests in painted\/ pack to \d{3,4} KiB, and a record, .* holds 896 KiB\. The largest is ConfigMap chat-files \(1801 KiB\): put large files into the image$/,
    )
  })
})
