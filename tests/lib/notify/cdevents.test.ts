/**
 * CDEvents: each state is an event of the specification's form. Its JSON schemas are in no package, so what stands here
 * is a table of them by hand: the fields that 0.5 knows and asks for, of the seven events that are used.
 * https://github.com/cdevents/spec/tree/v0.5.0/schemas
 */
import { expect, test } from 'bun:test'
import Ajv from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { cdevents, cdEvent, packageUrl } from '../../../lib/notify/cdevents.ts'
import { messageOf } from '../../../lib/notify/message.ts'
import { states, type State } from '../../../lib/settings/notify.ts'
import { json, receiver, sending } from './receivers.ts'
import { hostileSubject, subjects } from './subjects.ts'

const at = '2026-11-23T08:04:00Z'
const text = { type: 'string', minLength: 1 }
const reference = { ...text, format: 'uri-reference' }
const uri = { ...text, format: 'uri' }
const object = (properties: object, required: string[] = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const named = object({ id: text, source: reference }, ['id'])

const service = object({ environment: named, artifactId: { ...text, pattern: '^pkg:[a-z]+/' } })
const CONTENTS: Record<string, object> = {
  'service.deployed': service,
  'service.upgraded': service,
  'service.rolledback': service,
  'incident.detected': object({ environment: named, description: text, service: named, artifactId: text }, [
    'environment',
  ]),
  'taskrun.started': object({ taskName: text, pipelineRun: named, uri }, []),
  'pipelinerun.started': object({ pipelineName: text, uri }),
  'pipelinerun.finished': object(
    { pipelineName: text, uri, outcome: { enum: ['success', 'failure', 'cancel', 'error'] }, errors: text },
    [],
  ),
}

const TYPES: Record<State, string> = {
  started: 'pipelinerun.started',
  verified: 'service.deployed',
  switched: 'service.upgraded',
  baking: 'taskrun.started',
  succeeded: 'pipelinerun.finished',
  stopped: 'pipelinerun.finished',
  'rolled-back': 'service.rolledback',
  'rolled-back-by-hand': 'service.rolledback',
  'rollback-failed': 'incident.detected',
  'needs-person': 'incident.detected',
  'lock-taken-over': 'pipelinerun.finished',
  superseded: 'pipelinerun.finished',
  environment: 'incident.detected',
}

function problems(event: ReturnType<typeof cdEvent>): unknown[] {
  const [, , kind, predicate] = event.context.type.split('.')
  const context = object(
    {
      specversion: text,
      id: text,
      source: reference,
      type: { ...text, pattern: '^dev\\.cdevents\\.[a-z]+\\.[a-z]+\\.0\\.3\\.0$' },
      timestamp: { type: 'string', format: 'date-time' },
      chainId: text,
    },
    ['specversion', 'id', 'source', 'type', 'timestamp'],
  )
  const subject = object(
    { id: text, source: reference, content: CONTENTS[`${kind}.${predicate}`] ?? false },
    ['id', 'content'],
  )
  const whole = object({ context, subject, customData: { type: 'object' }, customDataContentType: text }, [
    'context',
    'subject',
  ])
  const ajv = new Ajv({ strict: false, allErrors: true })
  formats(ajv)
  ajv.validate(whole, JSON.parse(JSON.stringify(event)))
  return ajv.errors ?? []
}

const image = `ghcr.io/example/chat@sha256:${'b'.repeat(64)}`

test.each([...states])('%s', (state) => {
  const event = cdEvent(
    messageOf(subjects[state], { state, at }, { reportUrl: 'https://r.example/{id}' }),
    image,
  )
  expect(problems(event)).toEqual([])
  expect(event.context).toMatchObject({
    type: `dev.cdevents.${TYPES[state]}.0.3.0`,
    chainId: 'r1',
    id: `r1.${state}`,
  })
})

test('also where no report is to be seen anywhere', () => {
  for (const state of states) {
    const event = cdEvent(messageOf(subjects[state], { state, at }), image)
    expect(problems(event)).toEqual([])
  }
})

test('hostile content is of the form, too', () => {
  for (const state of states)
    expect(problems(cdEvent(messageOf(hostileSubject(), { state, at }), 'x@y'))).toEqual([])
})

test('the schemas find what is wrong', () => {
  const event = cdEvent(messageOf(subjects.switched, { state: 'switched', at }), image)
  expect(
    problems({ ...event, subject: { ...event.subject, content: { artifactId: 'x' } } }).length,
  ).toBeGreaterThan(1)
})

test('an image is named by its digest', () => {
  expect(packageUrl(image)).toBe(
    `pkg:oci/chat@sha256%3A${'b'.repeat(64)}?repository_url=ghcr.io%2Fexample%2Fchat`,
  )
})

test('it goes as a CloudEvent in binary mode', async () => {
  await using server = receiver()
  const message = messageOf(subjects.switched, { state: 'switched', at })
  const sender = cdevents({ url: `${server.url}/events` }, 'a-token', image)
  expect(await sender.send(message, sending())).toEqual({ sent: '200 ok' })
  expect(server.got[0]?.headers).toMatchObject({
    'ce-specversion': '1.0',
    'ce-id': 'r1.switched',
    'ce-type': 'dev.cdevents.service.upgraded.0.3.0',
    'ce-source': '/deploy-scripts/chat/production',
    'ce-time': at,
    authorization: 'Bearer a-token',
    'content-type': 'application/json; charset=utf-8',
  })
  expect(json(server.got[0]).context.specversion).toBe('0.5.1')
})
