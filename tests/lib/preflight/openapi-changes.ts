/**
 * Changes of an OpenAPI document, and whether a client of the version before survives them: written before the rules
 * that are held against it.
 */
import type { Operation } from 'rfc6902'

export const before = {
  openapi: '3.1.0',
  info: { title: 'chat', version: '1.0.0' },
  servers: [{ url: '/api' }],
  paths: {
    '/messages': {
      get: {
        parameters: [
          { name: 'limit', in: 'query', schema: { type: 'integer', maximum: 100, minimum: 1 } },
          { name: 'sort', in: 'query', schema: { type: 'string', enum: ['newest', 'oldest'] } },
        ],
        responses: {
          200: {
            description: 'some',
            content: {
              'application/json': {
                schema: { type: 'array', items: { $ref: '#/components/schemas/Message' } },
              },
              'text/csv': { schema: { type: 'string' } },
            },
          },
          404: { description: 'none' },
        },
      },
      post: {
        requestBody: {
          required: false,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Draft' } } },
        },
        responses: {
          201: {
            description: 'made',
            content: { 'application/json': { schema: { $ref: '#/components/schemas/Message' } } },
          },
        },
      },
    },
    '/messages/{id}': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
      delete: { responses: { 204: { description: 'gone' } } },
    },
  },
  components: {
    schemas: {
      Message: {
        type: 'object',
        required: ['id', 'text', 'kind'],
        properties: {
          id: { type: 'string' },
          text: { type: 'string' },
          kind: { type: 'string', enum: ['user', 'bot'] },
          likes: { type: 'integer' },
          answer: { $ref: '#/components/schemas/Message' },
        },
      },
      Draft: {
        type: 'object',
        required: ['text'],
        properties: {
          text: { type: 'string', maxLength: 500 },
          tone: { type: 'string', enum: ['kind', 'curt'] },
          size: { type: 'integer' },
        },
      },
    },
    securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'x-key' } },
  },
}

export interface Change {
  name: string
  change: Operation[]
  verdict: 'passed' | 'failed' | 'unknown'
  says?: RegExp
}

const message = '/components/schemas/Message'
const draft = '/components/schemas/Draft'
const list = '/paths/~1messages/get'
const make = '/paths/~1messages/post'
const add = (path: string, value: unknown): Operation => ({ op: 'add', path, value })
const remove = (path: string): Operation => ({ op: 'remove', path })

export const changes: Change[] = [
  { name: 'nothing', change: [], verdict: 'passed' },
  { name: 'another version and description', change: [add('/info/version', '1.1.0')], verdict: 'passed' },
  { name: 'a new path', change: [add('/paths/~1health', { get: { responses: {} } })], verdict: 'passed' },
  { name: 'a new operation', change: [add('/paths/~1messages/put', { responses: {} })], verdict: 'passed' },
  {
    name: 'a new optional parameter',
    change: [add(`${list}/parameters/-`, { name: 'q', in: 'query', schema: { type: 'string' } })],
    verdict: 'passed',
  },
  {
    name: 'a new property of an answer',
    change: [add(`${message}/properties/at`, { type: 'string' })],
    verdict: 'passed',
  },
  {
    name: 'a new optional property of a request',
    change: [add(`${draft}/properties/at`, { type: 'string' })],
    verdict: 'passed',
  },
  {
    name: 'an optional property of an answer that always comes',
    change: [add(`${message}/required/-`, 'likes')],
    verdict: 'passed',
  },
  { name: 'more values taken', change: [add(`${draft}/properties/tone/enum/-`, 'dry')], verdict: 'passed' },
  {
    name: 'a longer text taken',
    change: [add(`${draft}/properties/text/maxLength`, 900)],
    verdict: 'passed',
  },
  {
    name: 'a number taken where it was whole',
    change: [add(`${draft}/properties/size/type`, 'number')],
    verdict: 'passed',
  },
  {
    name: 'a property of a request that may be left out',
    change: [remove(`${draft}/required/0`)],
    verdict: 'passed',
  },
  {
    name: 'a new failure',
    change: [add(`${list}/responses/429`, { description: 'slow' })],
    verdict: 'passed',
  },

  {
    name: 'a path removed',
    change: [remove('/paths/~1messages~1{id}')],
    verdict: 'failed',
    says: /\/messages\/\{id\}/,
  },
  { name: 'an operation removed', change: [remove(make)], verdict: 'failed', says: /POST \/messages/ },
  {
    name: 'a new parameter that must be there',
    change: [
      add(`${list}/parameters/-`, { name: 'q', in: 'query', required: true, schema: { type: 'string' } }),
    ],
    verdict: 'failed',
    says: /q.*required/,
  },
  {
    name: 'a parameter that must be there now',
    change: [add(`${list}/parameters/0/required`, true)],
    verdict: 'failed',
    says: /limit.*required/,
  },
  { name: 'a parameter removed', change: [remove(`${list}/parameters/1`)], verdict: 'failed', says: /sort/ },
  {
    name: 'another type of a parameter',
    change: [add(`${list}/parameters/0/schema/type`, 'boolean')],
    verdict: 'failed',
    says: /limit.*type/,
  },
  {
    name: 'fewer values of a parameter',
    change: [remove(`${list}/parameters/1/schema/enum/1`)],
    verdict: 'failed',
    says: /oldest/,
  },
  {
    name: 'a lower limit of a parameter',
    change: [add(`${list}/parameters/0/schema/maximum`, 50)],
    verdict: 'failed',
    says: /maximum/,
  },
  {
    name: 'values listed where any was taken',
    change: [add(`${draft}/properties/text/enum`, ['a'])],
    verdict: 'failed',
    says: /text/,
  },
  {
    name: 'a body that must be there',
    change: [add(`${make}/requestBody/required`, true)],
    verdict: 'failed',
    says: /body.*required/,
  },
  {
    name: 'a form of body removed',
    change: [
      remove(`${make}/requestBody/content/application~1json`),
      add(`${make}/requestBody/content/application~1xml`, {}),
    ],
    verdict: 'failed',
    says: /application\/json/,
  },
  {
    name: 'a property of a request that must be there',
    change: [add(`${draft}/required/-`, 'tone')],
    verdict: 'failed',
    says: /tone.*required/,
  },
  {
    name: 'a new property of a request that must be there',
    change: [add(`${draft}/properties/at`, { type: 'string' }), add(`${draft}/required/-`, 'at')],
    verdict: 'failed',
    says: /at.*required/,
  },
  {
    name: 'a shorter text taken',
    change: [add(`${draft}/properties/text/maxLength`, 100)],
    verdict: 'failed',
    says: /maxLength/,
  },
  {
    name: 'nothing else taken',
    change: [add(`${draft}/additionalProperties`, false)],
    verdict: 'failed',
    says: /additional/i,
  },
  {
    name: 'another pattern',
    change: [add(`${draft}/properties/text/pattern`, '^a')],
    verdict: 'unknown',
    says: /pattern/,
  },

  {
    name: 'an answer removed',
    change: [remove(`${make}/responses/201`), add(`${make}/responses/202`, { description: 'later' })],
    verdict: 'failed',
    says: /201/,
  },
  {
    name: 'a form of answer removed',
    change: [remove(`${list}/responses/200/content/text~1csv`)],
    verdict: 'failed',
    says: /text\/csv/,
  },
  {
    name: 'a property of an answer removed',
    change: [remove(`${message}/properties/text`), remove(`${message}/required/1`)],
    verdict: 'failed',
    says: /text/,
  },
  {
    name: 'a property of an answer that may be missing',
    change: [remove(`${message}/required/1`)],
    verdict: 'failed',
    says: /text/,
  },
  {
    name: 'another type of an answer',
    change: [add(`${message}/properties/likes/type`, 'string')],
    verdict: 'failed',
    says: /likes.*type/,
  },
  {
    name: 'an answer that may be null',
    change: [add(`${message}/properties/text/type`, ['string', 'null'])],
    verdict: 'failed',
    says: /text.*null/,
  },
  {
    name: 'a new value in an answer',
    change: [add(`${message}/properties/kind/enum/-`, 'system')],
    verdict: 'unknown',
    says: /system/,
  },
  { name: 'a failure that is no longer said', change: [remove(`${list}/responses/404`)], verdict: 'passed' },

  {
    name: 'a key that is needed now',
    change: [add('/security', [{ key: [] }])],
    verdict: 'failed',
    says: /sign|security/i,
  },
  { name: 'another address', change: [add('/servers/0/url', '/v2')], verdict: 'unknown', says: /servers/ },
  {
    name: 'a schema in other words',
    change: [add(`${draft}/properties/tone`, { oneOf: [{ type: 'string' }, { type: 'integer' }] })],
    verdict: 'unknown',
    says: /oneOf/,
  },
  {
    name: 'a reference that leads nowhere',
    change: [add(`${draft}/properties/tone`, { $ref: '#/components/schemas/None' })],
    verdict: 'unknown',
    says: /\$ref|None/,
  },
  {
    name: 'a reference out of the file',
    change: [add(`${draft}/properties/tone`, { $ref: 'other.yaml#/a' })],
    verdict: 'unknown',
    says: /other\.yaml/,
  },
  { name: 'the paths gone', change: [remove('/paths')], verdict: 'unknown', says: /paths/ },
  { name: 'no OpenAPI any more', change: [remove('/openapi')], verdict: 'unknown', says: /OpenAPI/ },
]
