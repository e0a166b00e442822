import { SQL } from 'bun'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startApp, type AppUnderTest } from './app-under-test.ts'
import { databaseKinds } from './databases.ts'

const nobodys = '/api/conversations/00000000-0000-7000-8000-000000000000'

for (const kind of databaseKinds()) {
  describe.skipIf(kind.missing !== undefined)(`the API on ${kind.name}`, () => {
    let app: AppUnderTest
    let alice: string
    let bob: string
    let root: string

    beforeAll(async () => {
      await kind.start()
      app = await startApp({ DATABASE_URL: await kind.create() })
      ;[alice, bob, root] = await Promise.all([app.signIn('alice'), app.signIn('bob'), app.signIn('root')])
    }, 30_000)
    afterAll(async () => {
      await app.stop()
      await kind.stop()
    })

    async function newConversation(as: string): Promise<string> {
      const created = await app.call('POST', '/api/conversations', { as, body: {} })
      expect(created.status).toBe(201)
      return created.headers.get('location') ?? ''
    }

    test('a conversation: started, spoken in, listed, read again, deleted', async () => {
      const path = await newConversation(alice)
      const answer = await app.call('POST', `${path}/messages`, { as: alice, body: { text: 'Hello there' } })
      expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
      expect(await answer.text()).toBe('Hello! What would you like to talk about?')
      await app.call('POST', `${path}/messages`, {
        as: alice,
        body: { text: "'; DROP TABLE messages; -- 😀" },
      })

      const read = await (await app.call('GET', path, { as: alice })).json()
      expect(read).toMatchObject({
        title: 'Hello there',
        messages: [
          { author: 'user', text: 'Hello there' },
          { author: 'bot', text: 'Hello! What would you like to talk about?' },
          { author: 'user', text: "'; DROP TABLE messages; -- 😀" },
          { author: 'bot' },
        ],
      })
      const { conversations } = (await (
        await app.call('GET', '/api/conversations', { as: alice })
      ).json()) as {
        conversations: { title: string }[]
      }
      expect(conversations.map(({ title }) => title)).toContain('Hello there')

      expect((await app.call('DELETE', path, { as: alice })).status).toBe(204)
      expect((await app.call('GET', path, { as: alice })).status).toBe(404)
    })

    test('the conversation spoken in last is listed first', async () => {
      const first = await newConversation(bob)
      await newConversation(bob)
      await Bun.sleep(2) // times are kept in milliseconds
      await (await app.call('POST', `${first}/messages`, { as: bob, body: { text: 'again' } })).text()
      const { conversations } = (await (await app.call('GET', '/api/conversations', { as: bob })).json()) as {
        conversations: { id: string }[]
      }
      expect(first).toEndWith(conversations[0]?.id ?? 'none')
      expect(conversations).toHaveLength(2)
    })

    test("another account's conversation does not exist", async () => {
      const path = await newConversation(alice)
      expect((await app.call('GET', path, { as: bob })).status).toBe(404)
      expect((await app.call('DELETE', path, { as: bob })).status).toBe(404)
      expect((await app.call('POST', `${path}/messages`, { as: bob, body: { text: 'hi' } })).status).toBe(404)
      expect((await app.call('GET', path, { as: root })).status).toBe(404)
      expect((await app.call('GET', path, { as: alice })).status).toBe(200)
    })

    test('a role decides who sees the users', async () => {
      expect((await app.call('GET', '/api/admin/users', { as: alice })).status).toBe(403)
      expect(await (await app.call('GET', '/api/admin/users', { as: root })).json()).toEqual({
        users: [
          { name: 'alice', role: 'user' },
          { name: 'bob', role: 'user' },
          { name: 'root', role: 'admin' },
        ],
      })
    })

    test('signing out ends the session on the server', async () => {
      const cookie = await app.signIn('alice')
      expect(await (await app.call('GET', '/api/me', { as: cookie })).json()).toEqual({
        name: 'alice',
        role: 'user',
      })
      const out = await app.call('DELETE', '/api/session', { as: cookie })
      expect([out.status, out.headers.get('set-cookie')]).toEqual([
        204,
        'session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict',
      ])
      expect((await app.call('GET', '/api/me', { as: cookie })).status).toBe(401)
    })

    test.each([
      ['GET', '/api/me'],
      ['GET', '/api/conversations'],
      ['POST', '/api/conversations'],
      ['GET', nobodys],
      ['DELETE', nobodys],
      ['POST', `${nobodys}/messages`],
      ['GET', '/api/admin/users'],
    ])('%s %s needs a session', async (method, path) => {
      for (const as of [undefined, 'session=', 'session=made-up', 'session=%zz%00', 'session=a; session=b']) {
        const refused = await app.call(method, path, as === undefined ? {} : { as })
        expect(refused.status).toBe(401)
        expect(refused.headers.get('www-authenticate')).toBe('Cookie realm="chatbot"')
      }
    })

    test.each([
      ['a wrong password', { name: 'alice', password: 'wrong' }, 401],
      ['an unknown name', { name: 'mallory', password: 'x' }, 401],
      ['no password', { name: 'alice' }, 400],
      ['a name that is an object', { name: { $ne: '' }, password: 'x' }, 400],
      ['a NUL in the name', { name: 'ali\0ce', password: 'x' }, 400],
      ['half a character', '{"name": "\\ud800", "password": "x"}', 400],
      ['malformed JSON', '{"name": ', 400],
      ['a list', '[]', 400],
      ['nothing', '', 400],
    ])('sign-in with %s is refused', async (_, body, status) => {
      const refused = await app.call('POST', '/api/session', { body })
      expect(refused.status).toBe(status)
      expect(refused.headers.get('set-cookie')).toBeNull()
      expect(Object.keys((await refused.json()) as object)).toEqual(['error', 'message'])
    })

    test.each([
      ['blank', { text: '  ' }],
      ['missing', {}],
      ['a number', { text: 5 }],
      ['too long', { text: 'x'.repeat(4001) }],
      ['with a NUL', { text: 'a\0b' }],
    ])('a message that is %s is refused', async (_, body) => {
      const path = await newConversation(alice)
      expect((await app.call('POST', `${path}/messages`, { as: alice, body })).status).toBe(400)
    })

    test('the tables of a session hold neither token nor password', async () => {
      const url = await kind.create()
      const other = await startApp({ DATABASE_URL: url })
      const cookie = await other.signIn('alice')
      await using sql = new SQL(url)
      const rows = JSON.stringify([await sql`SELECT * FROM sessions`, await sql`SELECT * FROM accounts`])
      await other.stop()
      expect(rows).toContain('alice')
      expect(rows).not.toContain(cookie.replace('session=', ''))
      expect(rows).not.toContain('alice-password')
    })
  })
}
