/** A signed-in account's conversations. */
import { readJson, requireText } from '../body.ts'
import { reply, streamWords } from '../chat.ts'
import { TITLE_LENGTH, type Conversation } from '../conversations.ts'
import { notFound } from '../errors.ts'
import type { Call, Route } from '../router.ts'
import type { Services } from '../services.ts'

const MESSAGE_LENGTH = 4000

export function conversationRoutes(services: Services): Route[] {
  const { config, conversations, metrics } = services

  async function list(call: Call): Promise<Response> {
    const { name } = await services.requireAccount(call)
    return Response.json({ conversations: await conversations.list(name) })
  }

  async function create(call: Call): Promise<Response> {
    const { name } = await services.requireAccount(call)
    const body = await readJson(call.request)
    const title = body['title'] === undefined ? undefined : requireText(body, 'title', TITLE_LENGTH)
    const created = await conversations.create(name, title)
    metrics.conversationsStarted.inc()
    return Response.json(created, { status: 201, headers: { Location: `/api/conversations/${created.id}` } })
  }

  async function read(call: Call): Promise<Response> {
    const conversation = await requireConversation(call)
    return Response.json({ ...conversation, messages: await conversations.messages(conversation.id) })
  }

  async function remove(call: Call): Promise<Response> {
    const { name } = await services.requireAccount(call)
    if (!(await conversations.remove(name, call.params['id'] ?? ''))) throw notFound()
    return new Response(null, { status: 204 })
  }

  async function say(call: Call): Promise<Response> {
    const conversation = await requireConversation(call)
    const text = requireText(await readJson(call.request), 'text', MESSAGE_LENGTH)
    const answer = reply(text)
    await conversations.append(conversation, text, answer)
    metrics.messages.inc(2)
    // The second header asks nginx to pass each word on at once.
    return new Response(streamWords(answer, config.replyWordMs), {
      headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Accel-Buffering': 'no' },
    })
  }

  /** @throws HttpError 404, also for the conversation of another account */
  async function requireConversation(call: Call): Promise<Conversation> {
    const { name } = await services.requireAccount(call)
    const found = await conversations.find(name, call.params['id'] ?? '')
    if (!found) throw notFound()
    return found
  }

  return [
    { method: 'GET', path: '/api/conversations', handler: list },
    { method: 'POST', path: '/api/conversations', handler: create },
    { method: 'GET', path: '/api/conversations/:id', handler: read },
    { method: 'DELETE', path: '/api/conversations/:id', handler: remove },
    { method: 'POST', path: '/api/conversations/:id/messages', handler: say },
  ]
}
