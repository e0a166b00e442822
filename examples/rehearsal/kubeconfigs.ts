/** Kubeconfigs that differ from the rehearsal's in one thing: who asks, whom, or what is chosen. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDocument } from 'yaml'
import type { Workspace } from './workspace.ts'

type Path = readonly (string | number)[]

/** What a program needs to speak to the cluster through a changed kubeconfig. */
function changed(workspace: Workspace, name: string, path: Path, value: string): { KUBECONFIG: string } {
  const document = parseDocument(readFileSync(workspace.cluster.kubeconfig, 'utf8'))
  document.setIn(path, value)
  const file = join(workspace.folder, `kubeconfig-${name}`)
  writeFileSync(file, document.toString(), { mode: 0o600 })
  return { KUBECONFIG: file }
}

/** As a ServiceAccount of the workspace's namespace, with what it may do and no more. */
export function asAccount(workspace: Workspace, account: string): { KUBECONFIG: string } {
  const user = `system:serviceaccount:${workspace.namespace}:${account}`
  return changed(workspace, account, ['users', 0, 'user', 'as'], user)
}

/** A cluster where nobody listens. */
export const unreachable = (workspace: Workspace): { KUBECONFIG: string } =>
  changed(workspace, 'unreachable', ['clusters', 0, 'cluster', 'server'], 'https://127.0.0.1:1')

/** The same cluster under another name. */
export function renamed(workspace: Workspace, context: string): { KUBECONFIG: string } {
  const document = changed(workspace, 'renamed', ['contexts', 0, 'name'], context)
  const text = readFileSync(document.KUBECONFIG, 'utf8')
  writeFileSync(document.KUBECONFIG, text.replace(/^current-context:.*$/m, `current-context: ${context}`))
  return document
}
