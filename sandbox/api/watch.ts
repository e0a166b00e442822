/** Watches: a stream of JSON lines that lasts until the client or `timeoutSeconds` ends it. */
import type { KubeObject, Store, WatchEvent } from '../store.ts'
import { ApiError } from '../status.ts'
import type { JsonMap } from './json.ts'
import { matcher, present } from './read.ts'
import { type ApiRequest, isTrue } from './request.ts'
import { groupVersion } from './resources.ts'
import type { Matcher } from './selector.ts'
import { toTable, wantsTable } from './table.ts'

/** As long as a real server lets a watch live when it is not told. */
const DEFAULT_SECONDS = 1800
const BOOKMARK_MS = 60_000

type Type = WatchEvent['type']

/** Ends when the signal does: the client has gone, or the server stops. */
export function watch(store: Store, request: ApiRequest, signal: AbortSignal): ReadableStream<Uint8Array> {
  const matches = matcher(request)
  const encoder = new TextEncoder()
  let stop = noop
  return new ReadableStream<Uint8Array>({
    start(controller) {
      // Headers leave with the first bytes, and kubectl waits for them; a JSON decoder skips the newline.
      controller.enqueue(encoder.encode('\n'))
      const send = (type: string, object: JsonMap): void =>
        controller.enqueue(encoder.encode(`${JSON.stringify({ type, object })}\n`))
      const show = presenter(store, request)
      const forward = (event: WatchEvent): void => {
        const type = event.resource === request.resource.name ? seenAs(event, matches) : undefined
        if (type) send(type, show(event.object))
      }
      const end = (): void => {
        stop()
        controller.close()
      }
      const bookmark = setInterval(() => {
        if (isTrue(request.query.get('allowWatchBookmarks'))) send('BOOKMARK', bookmarkOf(store, request))
      }, BOOKMARK_MS)
      const timeout = setTimeout(end, Number(request.query.get('timeoutSeconds') ?? DEFAULT_SECONDS) * 1000)
      const unsubscribe = store.subscribe(forward)
      stop = () => {
        clearInterval(bookmark)
        clearTimeout(timeout)
        unsubscribe()
        signal.removeEventListener('abort', end)
      }
      signal.addEventListener('abort', end)
      const missed = backlog(store, request, matches)
      if (missed) for (const { type, object } of missed) send(type, show(object))
      else {
        send('ERROR', expired(request))
        end()
      }
    },
    cancel: () => stop(),
  })
}

function noop(): void {}

/** How a client with this selector sees an event: an object may enter or leave the selection by a change. */
function seenAs({ type, object, previous }: WatchEvent, matches: Matcher): Type | undefined {
  const is = matches(object)
  if (!previous) return is ? type : undefined
  const was = matches(previous)
  if (is) return was ? 'MODIFIED' : 'ADDED'
  return was ? 'DELETED' : undefined
}

/** Everything there is, or everything since a version; undefined when that is too long ago. */
function backlog(
  store: Store,
  request: ApiRequest,
  matches: Matcher,
): { type: Type; object: KubeObject }[] | undefined {
  const from = request.query.get('resourceVersion')
  if (!from || from === '0') {
    return store
      .list(request.resource.name, request.namespace)
      .filter(matches)
      .map((object) => ({ type: 'ADDED', object }))
  }
  return store
    .since(Number(from))
    ?.filter((event) => event.resource === request.resource.name)
    .flatMap((event) => {
      const type = seenAs(event, matches)
      return type ? [{ type, object: event.object }] : []
    })
}

function expired({ query }: ApiRequest): JsonMap {
  const message = `too old resource version: ${query.get('resourceVersion') ?? ''}`
  return new ApiError(410, 'Expired', message).toStatus() as JsonMap
}

function presenter(store: Store, request: ApiRequest): (object: KubeObject) => JsonMap {
  if (!wantsTable(request.headers)) return (object) => present(store, request, object)
  let isFirst = true
  return (object) => {
    const include = request.query.get('includeObject')
    const table = toTable(request.resource.kind, [present(store, request, object)], {}, include)
    const shown = isFirst ? table : { ...table, columnDefinitions: [] }
    isFirst = false
    return shown
  }
}

function bookmarkOf(store: Store, { group, version, resource }: ApiRequest): JsonMap {
  return {
    kind: resource.kind,
    apiVersion: groupVersion(group, version),
    metadata: { resourceVersion: store.version },
  }
}
