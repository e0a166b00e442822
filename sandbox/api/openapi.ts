/**
 * OpenAPI v3, as little as kubectl needs before it applies anything: that each kind can be patched with
 * `fieldValidation` and `dryRun`. The fields themselves are checked here, by the server.
 */
import type { JsonMap } from './json.ts'
import { type Resource, groupVersion, groups, resourcesIn } from './resources.ts'

const PREFIX = '/openapi/v3'

export function openapi(path: string): JsonMap | undefined {
  if (path === PREFIX) return { paths: Object.fromEntries(roots().map((root) => [root, link(root)])) }
  const root = roots().find((each) => path === `${PREFIX}/${each}`)
  return root === undefined ? undefined : document(root)
}

function roots(): string[] {
  return [...groups()].flatMap(([group, versions]) =>
    versions.map((version) => (group ? `apis/${group}/${version}` : `api/${version}`)),
  )
}

function link(root: string): JsonMap {
  return { serverRelativeURL: `${PREFIX}/${root}?hash=sandbox` }
}

function document(root: string): JsonMap {
  const [, group = '', version = ''] = /^apis?\/(?:([^/]+)\/)?([^/]+)$/.exec(root) ?? []
  const paths = resourcesIn(group, version).map((resource) => [
    pathOf(root, resource),
    patchable(resource, version),
  ])
  return {
    openapi: '3.0.0',
    info: { title: groupVersion(group, version), version },
    paths: Object.fromEntries(paths) as JsonMap,
    components: { schemas: {} },
  }
}

function pathOf(root: string, { name, namespaced }: Resource): string {
  return namespaced ? `/${root}/namespaces/{namespace}/${name}/{name}` : `/${root}/${name}/{name}`
}

function patchable({ group, kind }: Resource, version: string): JsonMap {
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map((name) => ({
    name,
    in: 'query',
  }))
  return { patch: { parameters, 'x-kubernetes-group-version-kind': { group, version, kind } } }
}
