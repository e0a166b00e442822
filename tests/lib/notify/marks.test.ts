/** GitHub Deployments and Grafana: one mark a deployment, which each state changes. */
import { describe, expect, test } from 'bun:test'
import { github } from '../../../lib/notify/github.ts'
import { annotation, grafana } from '../../../lib/notify/grafana.ts'
import { messageOf } from '../../../lib/notify/message.ts'
import { states, type State } from '../../../lib/settings/notify.ts'
import { json, receiver, sending } from './receivers.ts'
import { hostileSubject, subjects } from './subjects.ts'

const at = '2026-11-23T08:04:00Z'
const message = (state: State, subject = subjects[state]) =>
  messageOf(subject, { state, at }, { reportUrl: 'https://r.example/{id}' })

const channel = (api: string) =>
  github(
    {
      kind: 'github',
      repository: 'example/chat',
      token: 'GITHUB_TOKEN',
      ref: 'v{version}',
      api,
      on: ['all'],
    },
    'ghp_secret',
    { version: '1.4.2', url: 'https://chat.example.com' },
  )
const api = (refuses?: string) =>
  receiver(({ path }) => {
    if (refuses && path.endsWith(refuses)) return new Response('{"message":"no"}', { status: 422 })
    return Response.json({ id: 77 }, { status: 201 })
  })

describe('GitHub', () => {
  test('each state is a status of the one deployment', async () => {
    await using server = api()
    const { send } = channel(server.url)
    let ref: string | undefined
    for (const state of states) {
      const result = await send(message(state), sending({ ref }))
      ref = result.ref
    }
    expect(server.got.map(({ path }) => path)).toEqual([
      '/repos/example/chat/deployments',
      ...states.map(() => '/repos/example/chat/deployments/77/statuses'),
    ])
    expect(json(server.got[0])).toMatchObject({
      ref: 'v1.4.2',
      environment: 'production',
      required_contexts: [],
    })
    const allowed = ['error', 'failure', 'inactive', 'in_progress', 'queued', 'pending', 'success']
    const told = server.got.slice(1).map(json)
    expect(told.filter(({ state }) => !allowed.includes(state))).toEqual([])
    expect(told[0]).toMatchObject({ state: 'in_progress', log_url: 'https://r.example/r1' })
    expect(server.got[0]?.headers.authorization).toBe('Bearer ghp_secret')
  })

  test('that was made and could not be given its status is not made again', async () => {
    await using server = api('/statuses')
    expect(await channel(server.url).send(message('started'), sending())).toMatchObject({
      failure: expect.stringMatching(/^422/),
      ref: '77',
      again: false,
    })
  })

  test('a description has 140 characters at the most', async () => {
    await using server = api()
    await channel(server.url).send(message('rolled-back', hostileSubject()), sending())
    for (const one of server.got) expect(json(one).description.length).toBeLessThanOrEqual(140)
  })
})

describe('Grafana', () => {
  test('the first state makes the annotation, each later one changes it', async () => {
    await using server = receiver(() => Response.json({ id: 5, message: 'Annotation added' }))
    const { send } = grafana({ url: `${server.url}/` }, 'glsa_secret')
    expect(await send(message('switched'), sending())).toMatchObject({ ref: '5' })
    expect(await send(message('rolled-back'), sending({ ref: '5' }))).toMatchObject({ ref: '5' })
    expect(server.got.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /api/annotations',
      'PATCH /api/annotations/5',
    ])
    expect(json(server.got[0])).toMatchObject({ time: Date.parse(at), timeEnd: Date.parse(at) })
    expect(json(server.got[1])).toMatchObject({
      tags: ['deployment', 'chat', 'production', 'rolled-back', 'critical'],
    })
    expect(json(server.got[1]).time).toBeUndefined()
  })

  test('its text is HTML: hostile words are none', () => {
    expect(JSON.stringify(annotation(message('rolled-back', hostileSubject())))).not.toMatch(/<(?!br>)/)
  })
})
