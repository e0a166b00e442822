/**
 * A record that cannot be read: newer scripts wrote it, or somebody edited it. It must stop nobody, and must not
 * be passed over where it matters, so what can be told of it is told.
 */
import type { z } from 'zod'
import { key } from '../app/color.ts'
import type { ConfigMap } from '../cluster/objects.ts'
import { parseJson } from '../json.ts'
import { plain } from '../text.ts'
import { recordForm, recordName, type DeploymentRecord } from './record.ts'

const { shape } = recordForm

/** Each field by itself: what is not as it should be is as good as absent. */
const readable = recordForm.pick({ kind: true }).extend({
  kind: shape.kind.catch('deploy'),
  environment: shape.environment.catch('unknown'),
  strategy: shape.strategy.catch('blue-green'),
  by: shape.by.catch('somebody'),
  startedAt: shape.startedAt.optional().catch(undefined),
  reason: shape.reason.catch(undefined),
  from: shape.from.catch(undefined),
  to: shape.to.optional().catch(undefined),
  temporary: shape.temporary.catch({}),
  message: shape.message.catch(undefined),
})

/**
 * What its name and labels say, and each field that is as it should be. An outcome that is not known counts as
 * open: nobody can say how it ended. Pure.
 */
export function salvage(
  app: string,
  { metadata, data }: ConfigMap,
  why: z.ZodError,
): { entry: DeploymentRecord; nothing: boolean } {
  const id = metadata.name.slice(recordName(app, '').length)
  const object = readable.safeParse(parseJson(data.record ?? ''))
  const known = object.success ? object.data : readable.parse({})
  const outcome = shape.outcome.safeParse(metadata.labels[key.outcome])
  const [issue] = why.issues
  const entry: DeploymentRecord = {
    ...known,
    id,
    app,
    startedAt: known.startedAt ?? metadata.creationTimestamp ?? 'unknown',
    to: known.to ?? { color: 'plain', release: id, version: 'unknown', image: 'unknown' },
    steps: [],
    checks: [],
    switches: [],
    outcome: outcome.success ? outcome.data : 'open',
    unreadable: plain(issue ? `${issue.path.join('.') || 'record'}: ${issue.message}` : 'unknown form', 80),
  }
  return { entry, nothing: known.to === undefined }
}
