/** What goes wrong with a deployment, injected into a rehearsal, and what takes it away again. */
import { CONTAINER } from '../../examples/rehearsal/overlay.ts'
import { APP, type Workspace } from '../../examples/rehearsal/workspace.ts'

export type Operation = Readonly<Record<string, unknown>>

/** Takes away what was injected. */
type Remove = () => Promise<unknown>

/** Injects, and says how it is taken away. */
export type Inject = (workspace: Workspace) => Promise<Remove>

const json = async (workspace: Workspace, name: string, operations: readonly Operation[]): Promise<string> =>
  await workspace.kubectl('patch', name, '--type=json', '-p', JSON.stringify(operations))

const settled = async (workspace: Workspace, name: string): Promise<string> =>
  await workspace.kubectl('rollout', 'status', name, '--timeout=60s')

/** Changes a color's pods, and puts their template back. */
export const inPods =
  (color: 'blue' | 'green', ...operations: Operation[]): Inject =>
  async (workspace) => {
    const name = `deployment/${APP}-${color}`
    const template: unknown = JSON.parse(
      await workspace.kubectl('get', name, '-o', 'jsonpath={.spec.template}'),
    )
    await json(workspace, name, operations)
    return async () => {
      await json(workspace, name, [{ op: 'replace', path: '/spec/template', value: template }])
      await settled(workspace, name)
    }
  }

export const variable = (name: string, value: string): Operation => container('env/-', { name, value })

export const container = (path: string, value: unknown): Operation => ({
  op: 'add',
  path: `${CONTAINER}/${path}`,
  value,
})

export const podSpec = (field: string, value: unknown): Operation => ({
  op: 'add',
  path: `/spec/template/spec/${field}`,
  value,
})

/** Sets one field of an object, and sets it back. */
export const field =
  (name: string, path: string, value: unknown, before: unknown): Inject =>
  async (workspace) => {
    await json(workspace, name, [{ op: 'replace', path, value }])
    return () => json(workspace, name, [{ op: 'replace', path, value: before }])
  }

export const made =
  (object: object, name: string): Inject =>
  async (workspace) => {
    await workspace.apply(object)
    return () => workspace.kubectl('delete', name, '--wait=false')
  }

export const scaledDown =
  (color: 'blue' | 'green'): Inject =>
  async (workspace) => {
    const name = `deployment/${APP}-${color}`
    await workspace.kubectl('scale', name, '--replicas=0')
    return async () => {
      await workspace.kubectl('scale', name, '--replicas=1')
      await settled(workspace, name)
    }
  }

/** Users' address is another one. */
export const reachedAt =
  (url: (workspace: Workspace) => string): Inject =>
  async (workspace) => {
    workspace.configure({}, { url: url(workspace) })
    return async () => workspace.configure()
  }

const imageOf = async (workspace: Workspace, color: string): Promise<string> =>
  await workspace.kubectl('get', `deployment/${APP}-${color}`, '-o', 'jsonpath={..containers[0].image}')

/** A pod that nobody but its maker knows, behind a color's labels. */
export const stray =
  (color: 'blue' | 'green'): Inject =>
  async (workspace) => {
    const image = await imageOf(workspace, color)
    const metadata = { name: 'debug', labels: { app: APP, color } }
    const spec = { containers: [{ name: 'app', image }], terminationGracePeriodSeconds: 0 }
    return await made({ apiVersion: 'v1', kind: 'Pod', metadata, spec }, 'pod/debug')(workspace)
  }

/** A container beside the application's that logs a line ten times a second. */
export const logging =
  (color: 'blue' | 'green', line: string): Inject =>
  async (workspace) => {
    const command = ['bun', '-e', `setInterval(() => console.error(${JSON.stringify(line)}), 100)`]
    const beside = { name: 'beside', image: await imageOf(workspace, color), command }
    return await inPods(color, podSpec('containers/-', beside))(workspace)
  }
