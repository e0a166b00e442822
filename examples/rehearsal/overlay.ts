/**
 * An overlay for a rehearsal: production's manifests, reachable on this machine and patched to be quick. The
 * order of things (preStop, drain, probes) stays; only their times are shorter.
 */
import { mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { stringify } from 'yaml'
import { ROOT } from './program.ts'

export type Part = 'painted' | 'shared' | 'migration'

export interface Patch {
  target: { kind: string; name?: string }
  /** RFC 6902 operations. */
  patch: readonly Readonly<Record<string, unknown>>[]
}

export interface Shape {
  replicas: number
  /** The autoscaler's bounds; without them there is none. */
  autoscaler?: { min: number; max: number } | undefined
  /** The node ports of the live and the preview Service. */
  ports: readonly [live: number, preview: number]
  migration: boolean
  /** What else a test changes. */
  patches?: Partial<Record<Part, readonly Patch[]>>
}

const APP = 'chatbot-platform'

/** Writes (or writes anew) `painted/`, `shared/` and, where wanted, `migration/`. */
export function writeOverlay(folder: string, shape: Shape): void {
  const parts: Part[] = ['painted', 'shared', ...(shape.migration ? (['migration'] as const) : [])]
  rmSync(folder, { recursive: true, force: true })
  for (const part of parts) {
    const target = join(folder, part)
    mkdirSync(target, { recursive: true })
    const source = relative(realpathSync(target), join(ROOT, 'k8s/overlays/production', part))
    const patches = [...own[part](shape), ...(shape.patches?.[part] ?? [])]
    const written = [
      ...patches.map(({ target, patch }) => ({ target, patch: stringify(patch) })),
      ...(part === 'painted' && !shape.autoscaler ? [withoutAutoscaler] : []),
    ]
    writeFileSync(join(target, 'kustomization.yaml'), stringify({ resources: [source], patches: written }))
  }
}

const own: Record<Part, (shape: Shape) => Patch[]> = {
  painted: ({ replicas, autoscaler }) => [
    { target: { kind: 'ConfigMap' }, patch: [replace('/data/DRAIN_SECONDS', '1')] },
    {
      target: { kind: 'Deployment' },
      patch: [
        replace('/spec/replicas', replicas),
        replace(`${CONTAINER}/lifecycle/preStop/exec/command`, ['bun', '-e', 'await Bun.sleep(1000)']),
        // So that many rehearsals fit on one small node.
        replace(`${CONTAINER}/resources/requests`, { cpu: '1m', memory: '32Mi' }),
      ],
    },
    ...(autoscaler
      ? [
          {
            target: { kind: 'HorizontalPodAutoscaler' },
            patch: [
              replace('/spec/minReplicas', autoscaler.min),
              replace('/spec/maxReplicas', autoscaler.max),
            ],
          },
        ]
      : []),
  ],
  shared: ({ ports: [live, preview] }) => [nodePort(APP, live), nodePort(`${APP}-preview`, preview)],
  migration: () => [],
}

/** Where the application's container stands in its Deployment. */
export const CONTAINER = '/spec/template/spec/containers/0'

const replace = (path: string, value: unknown) => ({ op: 'replace', path, value })

const withoutAutoscaler = {
  patch: stringify({
    $patch: 'delete',
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: APP },
  }),
}

function nodePort(name: string, port: number): Patch {
  const patch = [
    replace('/spec/type', 'NodePort'),
    { op: 'add', path: '/spec/ports/0/nodePort', value: port },
  ]
  return { target: { kind: 'Service', name }, patch }
}
