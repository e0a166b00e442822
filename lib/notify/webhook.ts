/**
 * Any receiver, by a signed webhook. https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import { createHmac } from 'node:crypto'
import { fitted, type Message } from './message.ts'
import { post, type Sender } from './post.ts'

/** Bytes of a body that every receiver of the standard takes. */
const MOST = 20_000

export const webhookBody = (message: Message): string =>
  fitted(message, render, (body) => Buffer.byteLength(body) < MOST)

function render({ state, at, ...data }: Message): string {
  return JSON.stringify({ type: `deployment.${state}`, timestamp: at, data: { state, ...data } })
}

/** A list while keys rotate: one signature for each secret. `at` in whole seconds. */
export function signature(secrets: readonly string[], id: string, at: number, body: string): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
      return `v1,${createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')}`
    })
    .join(' ')
}

/** @returns what is wrong with it, without naming it */
export function wrongSecret(value: string): string | undefined {
  const wrong = value.split(/\s+/).some((secret) => !/^(whsec_)?[A-Za-z0-9+/]{22,}={0,2}$/.test(secret))
  return wrong ? 'holds no secret of the form whsec_ and base64 (24 bytes or more)' : undefined
}

export function webhook({ url }: { url: string }, secret: string): Sender {
  const secrets = secret.trim().split(/\s+/)
  return {
    once: true,
    secrets,
    send: async (message, { signal, now }) => {
      const at = Math.floor(now / 1000)
      const body = webhookBody(message)
      const headers = {
        'webhook-id': message.id,
        'webhook-timestamp': String(at),
        'webhook-signature': signature(secrets, message.id, at, body),
      }
      return (await post(url, { headers, body, signal, now })).result
    },
  }
}
