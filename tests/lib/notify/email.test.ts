/** E-mail by a real server: encrypted and checked, or not at all; one thread; hostile words stay words. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { AddressInfo, Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { simpleParser, type ParsedMail } from 'mailparser'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { email } from '../../../lib/notify/email.ts'
import { mailHtml } from '../../../lib/notify/mail-html.ts'
import { headline, messageOf } from '../../../lib/notify/message.ts'
import { states } from '../../../lib/settings/notify.ts'
import { certificate, type Pair } from '../../verify/security/certificates.ts'
import { sending } from './receivers.ts'
import { HOSTILE, hostileSubject, subjects } from './subjects.ts'

// The machine may be busy with other things.
setDefaultTimeout(60_000)

const at = '2026-11-23T08:04:00Z'
let good: Pair
let elsewhere: Pair
beforeAll(async () => {
  ;[good, elsewhere] = await Promise.all([
    certificate(90, 'IP:127.0.0.1'),
    certificate(90, 'DNS:example.com'),
  ])
})

interface Mailbox extends AsyncDisposable {
  port: number
  mails: ParsedMail[]
  logins: string[]
  /** Told of each connection. */
  sockets: (told: (socket: Socket) => void) => void
}

async function keep(stream: Readable, mails: ParsedMail[], done: (error: null) => void): Promise<void> {
  mails.push(await simpleParser(stream))
  done(null)
}

async function mailbox(options: SMTPServerOptions = {}): Promise<Mailbox> {
  const mails: ParsedMail[] = []
  const logins: string[] = []
  const server = new SMTPServer({
    ...good,
    authOptional: true,
    onAuth: ({ username, password }, _, done) => {
      logins.push(`${username}:${password}`)
      return password === 'secret-password' ? done(null, { user: username }) : done(new Error('no'))
    },
    onData: (stream, _, done) => void keep(stream, mails, done),
    ...options,
  })
  server.on('error', () => {}) // a client that does not trust it hangs up
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  const close = async (): Promise<void> => await new Promise((resolve) => server.close(() => resolve()))
  const sockets: Mailbox['sockets'] = (told) => void server.server.on('connection', told)
  return { port, mails, logins, sockets, [Symbol.asyncDispose]: close }
}

const settings = (port: number, tls: 'tls' | 'starttls' = 'starttls', user?: string) => ({
  kind: 'email' as const,
  host: '127.0.0.1',
  port,
  tls,
  ...(user && { user }),
  from: 'deployments@example.com',
  to: ['team@example.com', 'boss@example.com'],
  on: ['all' as const],
})

const message = (state: (typeof states)[number] = 'rolled-back') => messageOf(subjects[state], { state, at })

test.each(['tls', 'starttls'] as const)('by %s, with a password', async (tls) => {
  await using box = await mailbox({ secure: tls === 'tls' })
  const sender = email(settings(box.port, tls, 'robot'), 'secret-password', good.cert)
  expect(await sender.send(message(), sending())).toEqual({ sent: expect.stringMatching(/^250 /) })
  expect(box.logins).toEqual(['robot:secret-password'])
  const [mail] = box.mails
  expect(mail).toMatchObject({ subject: headline(message()), messageId: '<r1.rolled-back@example.com>' })
  expect(mail?.references).toBe('<r1@example.com>')
  expect(mail?.to).toMatchObject({ text: 'team@example.com, boss@example.com' })
  expect(mail?.text).toContain('37 of 532 requests failed')
  expect(mail?.html).toContain('37 of 532 requests failed')
  expect(JSON.stringify(mail)).not.toContain('secret-password')
})

test('every state is a mail, all in one thread', async () => {
  await using box = await mailbox()
  const sender = email(settings(box.port), undefined, good.cert)
  for (const state of states)
    expect(await sender.send(message(state), sending())).toMatchObject({ sent: expect.any(String) })
  expect(box.mails.map(({ messageId }) => messageId)).toEqual(
    states.map((state) => `<r1.${state}@example.com>`),
  )
  expect(new Set(box.mails.map(({ inReplyTo }) => inReplyTo))).toEqual(new Set(['<r1@example.com>']))
})

describe('nothing is said', () => {
  test.each<[string, () => Promise<Mailbox>, string | undefined]>([
    ['to who offers no encryption', () => mailbox({ disabledCommands: ['STARTTLS'] }), undefined],
    ['to whom nobody vouches for', () => mailbox(), undefined],
    ['to who has the certificate of another', () => mailbox({ ...elsewhere }), 'theirs'],
  ])('%s', async (_, open, ca) => {
    await using box = await open()
    const sender = email(settings(box.port, 'starttls', 'robot'), 'secret-password', ca && elsewhere.cert)
    const result = await sender.send(message(), sending())
    expect(result).toMatchObject({
      failure: expect.stringMatching(/certificate|STARTTLS|TLS|altnames/i),
      unsure: false,
    })
    expect([box.mails, box.logins]).toEqual([[], []])
  })
})

describe('what went wrong', () => {
  test('a wrong password', async () => {
    await using box = await mailbox()
    const sender = email(settings(box.port, 'starttls', 'robot'), 'wrong', good.cert)
    expect(await sender.send(message(), sending())).toMatchObject({
      failure: expect.stringContaining('EAUTH'),
      again: false,
    })
  })
  test('nobody is there', async () => {
    const sender = email(settings(1), undefined)
    expect(await sender.send(message(), sending())).toMatchObject({
      failure: expect.any(String),
      again: true,
      unsure: false,
    })
  })
  test.each([
    [451, true],
    [554, false],
  ])('the server refuses with %p', async (responseCode, again) => {
    await using box = await mailbox({
      onData: (stream, _, done) => {
        stream.resume()
        stream.on('end', () => done(Object.assign(new Error('busy'), { responseCode })))
      },
    })
    const result = await email(settings(box.port), undefined, good.cert).send(message(), sending())
    expect(result).toMatchObject({
      failure: expect.stringContaining(`${responseCode}`),
      again,
      unsure: false,
    })
  })
  test('the answer is lost: it may have arrived', async () => {
    const cut: (() => void)[] = []
    await using box = await mailbox({
      onConnect: (_, done) => done(),
      onData: (stream) => {
        stream.resume()
        stream.on('end', () => cut.forEach((one) => one()))
      },
    })
    box.sockets((socket) => cut.push(() => socket.destroy()))
    const result = await email(settings(box.port), undefined, good.cert).send(message(), sending())
    expect(result).toMatchObject({ failure: expect.any(String), again: true, unsure: true })
  })
  test('it hangs: when there is no more time it may have arrived', async () => {
    await using box = await mailbox({ onData: (stream) => void stream.resume() })
    const began = performance.now()
    const sender = email(settings(box.port), undefined, good.cert)
    const result = await sender.send(message(), sending({ signal: AbortSignal.timeout(300) }))
    expect(result).toMatchObject({ failure: expect.stringContaining('no time was left'), unsure: true })
    expect(performance.now() - began).toBeLessThan(5_000)
  })
})

test('hostile words add no recipient, no header, no markup', async () => {
  await using box = await mailbox()
  const hostile = messageOf(hostileSubject(HOSTILE), { state: 'rolled-back', at })
  await email(settings(box.port), undefined, good.cert).send(hostile, sending())
  const [mail] = box.mails
  expect(mail?.bcc).toBeUndefined()
  expect(mail?.headers.has('bcc')).toBe(false)
  const html = mailHtml(hostile)
  const elements = [...html.matchAll(/<([a-z]+)/g)].map(([, name = '']) => name)
  const own = 'html head meta title style body div table tr td p ul li pre'.split(' ')
  expect([...new Set(elements)].filter((name) => !own.includes(name))).toEqual([])
  expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  expect(html.length).toBeLessThan(102_400) // from there on Gmail cuts a mail
})
