/**
 * Grafana: one annotation a deployment, from its first state that is told to its last. Its text is shown as HTML.
 * https://grafana.com/docs/grafana/latest/developers/http_api/annotations/
 */
import { asText, type Message } from './message.ts'
import { answered, post, type Sender, type Sending } from './post.ts'

/** Pure. */
export function annotation(message: Message): object {
  const { app, environment, state, level, at } = message
  return {
    tags: ['deployment', app, environment, state, level],
    text: Bun.escapeHTML(asText(message)).replaceAll('\n', '<br>'),
    timeEnd: Date.parse(at),
  }
}

export function grafana({ url }: { url: string }, token: string): Sender {
  const base = `${url.replace(/\/$/, '')}/api/annotations`
  const headers = { authorization: `Bearer ${token}` }
  return {
    once: false,
    secrets: [token],
    send: async (message, { ref, signal, now }: Sending) => {
      const body = annotation(message)
      if (ref !== undefined) {
        const changed = await post(`${base}/${ref}`, { method: 'PATCH', headers, body, signal, now })
        return { ...changed.result, ref }
      }
      const made = await post(base, { headers, body: { time: Date.parse(message.at), ...body }, signal, now })
      const { id } = answered(made)
      return 'sent' in made.result && id !== undefined ? { ...made.result, ref: `${id}` } : made.result
    },
  }
}
