import { describe, expect, test } from 'bun:test'
import { Secrets, secretsIn } from '../../lib/secrets.ts'

const SECRET = 'pa"ss wörd\\&<1>!'
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const ascii = (text: string): string =>
  text.replace(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)

describe('a secret that is known', () => {
  test.each<[string, string]>([
    ['as it is', SECRET],
    ['in JSON', JSON.stringify({ said: SECRET })],
    ['in JSON that is ASCII alone', ascii(JSON.stringify({ said: SECRET }))],
    ['in JSON in JSON', JSON.stringify({ body: JSON.stringify({ said: SECRET }) })],
    ['in a URL', `?said=${encodeURIComponent(SECRET)}`],
    ['in a URL, in small letters', `?said=${encodeURIComponent(SECRET).toLowerCase()}`],
    ['in a form', new URLSearchParams({ said: SECRET }).toString()],
    ['in HTML', Bun.escapeHTML(SECRET)],
    ['in HTML, by numbers', Bun.escapeHTML(SECRET).replaceAll('&quot;', '&#34;')],
    ['twice', `${SECRET} and ${SECRET}`],
  ])('%s', (_, text) => {
    const clean = new Secrets([SECRET]).redact(`before: ${text} :after`)
    expect(clean).toContain('***')
    expect(clean).toMatch(/^before: .* :after$/)
    expect(clean).not.toMatch(/rd\b|1/)
  })

  test.each(['', 'a', 'ab', 'abc', 'user:'])('in base64, behind %j and before what follows', (before) => {
    for (const encoded of [base64(`${before}${SECRET}`), base64(`${before}${SECRET}, more`)])
      for (const text of [encoded, encoded.replaceAll('+', '-').replaceAll('/', '_')]) {
        const clean = new Secrets([SECRET]).redact(text)
        expect(clean).toContain('***')
        expect(Buffer.from(clean.replaceAll('*', ''), 'base64').toString()).not.toMatch(/ss w|rd/)
      }
  })

  test('what is left of it where a text was cut', () => {
    const secrets = new Secrets([SECRET])
    expect(secrets.redact('typed pa"ss w…, and pa%22ss%…')).toBe('typed ***…, and ***…')
    expect(secrets.redact('a page…')).toBe('a page…')
  })

  test.each([[['']], [[]], [['other']]])('%j: nothing to hide', (secrets) => {
    expect(new Secrets(secrets).redact('some text')).toBe('some text')
  })

  test('bytes that hold none are the same bytes', () => {
    const picture = Buffer.from([137, 80, 0, 255, 128])
    expect(new Secrets([SECRET]).redactBytes(picture)).toBe(picture)
    expect(new Secrets([SECRET]).redactBytes(Buffer.from(`ü ${SECRET}`)).toString()).toBe('ü ***')
  })
})

describe('where secrets are sent, nobody needs to know them', () => {
  test.each<[string, string]>([
    ['"cookie":"id=7; lang=en"', '"cookie":"id=***; lang=***"'],
    ['{"Set-Cookie": ["id=7; Path=/; HttpOnly"]}', '{"Set-Cookie": ["id=***; Path=/; HttpOnly"]}'],
    ['{"name":"authorization","value":"Bearer a.b.c"}', '{"name":"authorization","value":"Bearer ***"}'],
    ['{"name":"Cookie","value":"a=\\"1\\""}', '{"name":"Cookie","value":"a=***"}'],
    ['"{\\"cookie\\":\\"id=7\\"}"', '"{\\"cookie\\":\\"id=***\\"}"'],
    ['> Authorization: Basic dTpw\n> host: x', '> Authorization: Basic ***\n> host: x'],
    ['x-api-key: 123', 'x-api-key: ***'],
    ['"cookies":[{"name":"a","value":"7","path":"/"}]', '"cookies":[{"name":"a","value":"***","path":"/"}]'],
    ['https://ops:pass@host/x', 'https://***@host/x'],
    ['https://unpkg.com/react@18', 'https://unpkg.com/react@18'],
    ['Cookies are needed; the cookie is absent', 'Cookies are needed; the cookie is absent'],
  ])('%s', (text, clean) => expect(new Secrets().redact(text)).toBe(clean))

  test('what was learnt there is hidden elsewhere, but for settings that are short', () => {
    const secrets = new Secrets()
    secrets.learn('"cookie":"id=0123456789; theme=dark"\nAuthorization: Basic ' + base64('ops:pass-word-1'))
    expect(secrets.redact('0123456789 dark pass-word-1 ops')).toBe('*** dark *** ops')
  })

  test('a long text is no matter', () => {
    const started = performance.now()
    for (const text of ['"cookies":[', '//', '"cookie":"\\', 'cookie: ', '"name":"cookie",'])
      new Secrets([SECRET]).redact(text.repeat(500_000 / text.length))
    expect(performance.now() - started).toBeLessThan(2000)
  })
})

test('variables that are named like secrets', () => {
  const variables = {
    NVD_API_KEY: 'k3y-k3y',
    NPM_TOKEN: 't0k(en',
    SHORT_KEY: 'abc',
    HOME: '/home/x',
    A_SECRET: undefined,
  }
  expect(secretsIn(variables)).toEqual(['k3y-k3y', 't0k(en'])
})
