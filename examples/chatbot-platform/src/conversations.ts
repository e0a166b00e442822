/** Conversations and their messages. Everything is asked for together with the account it must belong to. */
import type { Database } from './database.ts'

export interface Conversation {
  id: string
  title: string
  createdAt: string
  lastMessageAt: string | null
}

export interface Message {
  id: string
  author: 'user' | 'bot'
  text: string
  createdAt: string
}

const UNTITLED = 'New conversation'
export const TITLE_LENGTH = 60
const LISTED = 100

export class Conversations {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** The latest first, 100 at most. */
  list(account: string): Promise<Conversation[]> {
    return this.#database.run(
      'conversations.list',
      (sql) => sql<Conversation[]>`
        SELECT id, title, created_at AS "createdAt", last_message_at AS "lastMessageAt" FROM conversations
        WHERE account = ${account} ORDER BY COALESCE(last_message_at, created_at) DESC, id DESC LIMIT ${LISTED}`,
    )
  }

  async create(account: string, title = UNTITLED): Promise<Conversation> {
    const created = { id: Bun.randomUUIDv7(), title, createdAt: now(), lastMessageAt: null }
    await this.#database.run(
      'conversations.create',
      (sql) => sql`INSERT INTO conversations (id, account, title, created_at)
        VALUES (${created.id}, ${account}, ${created.title}, ${created.createdAt})`,
    )
    return created
  }

  async find(account: string, id: string): Promise<Conversation | undefined> {
    const rows = await this.#database.run(
      'conversations.find',
      (sql) => sql<Conversation[]>`
        SELECT id, title, created_at AS "createdAt", last_message_at AS "lastMessageAt" FROM conversations
        WHERE id = ${id} AND account = ${account}`,
    )
    return rows[0]
  }

  /** @returns false if the account has no such conversation */
  async remove(account: string, id: string): Promise<boolean> {
    const rows = await this.#database.run(
      'conversations.remove',
      (sql) =>
        sql<
          { id: string }[]
        >`DELETE FROM conversations WHERE id = ${id} AND account = ${account} RETURNING id`,
    )
    return rows.length > 0
  }

  messages(conversation: string): Promise<Message[]> {
    return this.#database.run(
      'messages.list',
      (sql) => sql<Message[]>`SELECT id, author, text, created_at AS "createdAt" FROM messages
        WHERE conversation = ${conversation} ORDER BY id`,
    )
  }

  /**
   * Stores a message and its reply in one statement: a pod that stops in the middle leaves no question
   * without its answer.
   */
  async append({ id, title }: Conversation, text: string, reply: string): Promise<void> {
    const time = now()
    await this.#database.run(
      'messages.append',
      (sql) => sql`INSERT INTO messages (id, conversation, author, text, created_at) VALUES
        (${Bun.randomUUIDv7()}, ${id}, 'user', ${text}, ${time}), (${Bun.randomUUIDv7()}, ${id}, 'bot', ${reply}, ${time})`,
    )
    const named = title === UNTITLED ? Array.from(text.trim()).slice(0, TITLE_LENGTH).join('') : title
    await this.#database.run(
      'conversations.touch',
      (sql) => sql`UPDATE conversations SET title = ${named}, last_message_at = ${time} WHERE id = ${id}`,
    )
  }
}

const now = () => new Date().toISOString()
