import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { askOnce, type Asked } from '../../lib/http.ts'
import { answer, rawServer, type Treat } from './servers.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const never = new AbortController().signal

/** What one request of a server that treats it so comes to, and what the server saw. */
async function asked(treat: Treat, more: Partial<Asked> = {}) {
  await using server = await rawServer(treat)
  const found = await askOnce(new URL('/a?b=c', server.url), {
    within: 20_000,
    most: 10,
    signal: never,
    ...more,
  })
  return { found, seen: server.seen.map((line) => line.toLowerCase()), connections: server.connections }
}

const says =
  (status: number, body: string, ...headers: string[]): Treat =>
  (socket) =>
    void socket.write(answer(status, body, ...headers))

describe('one request', () => {
  test('with what is asked for', async () => {
    const { found, seen } = await asked(says(200, 'ok'), {
      method: 'POST',
      body: 'x',
      headers: { 'X-Own': 'yes' },
    })
    expect(found).toEqual({ status: 200, text: 'ok', cut: false })
    expect(seen[0]).toBe('post /a?b=c http/1.1')
    expect(seen).toContain('x-own: yes')
  })

  test.each<[string, Treat, object]>([
    ['a redirect is an answer', says(302, '', 'location: /b'), { status: 302, text: '', cut: false }],
    ['an error page is one too', says(500, 'no'), { status: 500, text: 'no', cut: false }],
    ['as long as may be', says(200, '0123456789'), { text: '0123456789', cut: false }],
    ['longer: its beginning', says(200, '0123456789a'), { cut: true }],
    ['longer in bytes, though not in letters', says(200, 'üüüüüü'), { cut: true }],
  ])('%s', async (_, treat, expected) => expect((await asked(treat)).found).toMatchObject(expected))

  test.each<[string, Treat, RegExp]>([
    ['nothing comes', () => {}, /^no whole answer within 300 ms$/],
    [
      'half an answer comes',
      (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha'),
      /^no whole answer within 300 ms$/,
    ],
    ['the connection is reset', (socket) => socket.resetAndDestroy(), /./],
    ['it is no HTTP', (socket) => void socket.end('SSH-2.0\r\n'), /./],
  ])('%s: what went wrong is told', async (_, treat, failure) => {
    expect((await asked(treat, { within: 300 })).found).toEqual({ failure: expect.stringMatching(failure) })
  })

  test('each on a connection of its own', async () => {
    await using server = await rawServer(says(200, 'ok'))
    for (let i = 0; i < 3; i++)
      await askOnce(new URL(server.url), { within: 20_000, most: 10, signal: never })
    expect(server.connections).toBe(3)
  })

  test('an interrupt is no answer', async () => {
    const stop = new AbortController()
    const interrupted = asked(() => stop.abort(new Error('SIGINT')), { signal: stop.signal })
    expect(interrupted).rejects.toThrow('SIGINT')
    await interrupted.catch(() => {})
  })
})
