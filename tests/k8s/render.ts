/** The manifests as the real `kubectl kustomize` renders them; no cluster is asked. */
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'

export const environments = ['development', 'staging', 'production'] as const
export const digest = `sha256:${'ab'.repeat(32)}`

type Labels = Record<string, string>

export interface Probe {
  httpGet: { path: string; port: string }
  periodSeconds: number
  timeoutSeconds: number
  failureThreshold: number
}

export interface Container {
  name: string
  image: string
  ports?: { name: string; containerPort: number; protocol?: string }[]
  envFrom?: { configMapRef: { name: string } }[]
  env: {
    name: string
    valueFrom?: {
      secretKeyRef?: { name: string; key: string; optional?: boolean }
      fieldRef?: { fieldPath: string }
    }
  }[]
  startupProbe?: Probe
  readinessProbe?: Probe
  livenessProbe?: Probe
  lifecycle?: { preStop?: { exec: { command: string[] } } }
  resources?: { requests: Labels; limits: Labels }
  securityContext?: object
  volumeMounts: { name: string; mountPath: string }[]
}

export interface PodTemplate {
  metadata: { labels: Labels; annotations?: Labels }
  spec: {
    serviceAccountName: string
    automountServiceAccountToken: boolean
    terminationGracePeriodSeconds: number
    restartPolicy?: string
    securityContext?: object
    containers: Container[]
    volumes: { name: string; emptyDir?: object }[]
    topologySpreadConstraints?: { labelSelector: { matchLabels: Labels } }[]
  }
}

export interface Port {
  name?: string
  port: number
  targetPort?: string
  nodePort?: number
  protocol?: string
}

export interface Rule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
}

/** The fields that the tests look at; which kind has which is Kubernetes' affair. */
export interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Labels; annotations?: Labels }
  data?: Labels
  rules?: Rule[]
  roleRef?: { kind: string; name: string }
  subjects?: { kind: string; name: string; namespace?: string }[]
  spec?: {
    type?: string
    replicas?: number
    ports?: Port[]
    selector?: { matchLabels?: Labels }
    podSelector?: { matchLabels: Labels }
    policyTypes?: string[]
    ingress?: { from?: object[]; ports: Port[] }[]
    egress?: { ports: Port[] }[]
    strategy?: { rollingUpdate: { maxUnavailable: number | string; maxSurge: number | string } }
    progressDeadlineSeconds?: number
    backoffLimit?: number
    activeDeadlineSeconds?: number
    template?: PodTemplate
    scaleTargetRef?: { kind: string; name: string }
    minReplicas?: number
    maxReplicas?: number
    targetCPUUtilizationPercentage?: number
    metrics?: { resource: { name: string } }[]
  }
}

const k8s = join(import.meta.dir, '../../k8s')

/** Renders a folder below k8s/. Throws with kubectl's own words when it cannot. */
export function render(folder: string): Promise<Manifest[]> {
  return once(folder, () => kustomize(join(k8s, folder)))
}

/** Renders `k8s/overlays/<overlay>` below a generated kustomization, as the scripts do. */
export function renderBelow(
  overlay: string,
  fields: object,
  components: readonly string[] = [],
): Promise<Manifest[]> {
  return once(JSON.stringify([overlay, fields, components]), async () => {
    const directory = await realpath(await mkdtemp(join(tmpdir(), 'k8s-test-')))
    try {
      const base = relative(directory, k8s)
      const kustomization = {
        resources: [`${base}/overlays/${overlay}`],
        components: components.map((name) => `${base}/components/${name}`),
        ...fields,
      }
      await writeFile(join(directory, 'kustomization.yaml'), stringify(kustomization))
      return await kustomize(directory)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
}

/** What the scripts generate to give an overlay a color. */
export function paint(color: string): object {
  return {
    namespace: 'rehearsal',
    nameSuffix: `-${color}`,
    labels: [{ pairs: { color }, includeSelectors: true, includeTemplates: true }],
    commonAnnotations: { 'deploy-scripts/release': `release-${color}` },
    images: [{ name: 'chatbot-platform', newName: 'registry.example/team/chat', digest }],
    replicas: [{ name: 'chatbot-platform', count: 7 }],
  }
}

/** The one object of this kind. */
export function only(manifests: readonly Manifest[], kind: string): Manifest {
  const [found, ...more] = manifests.filter((manifest) => manifest.kind === kind)
  if (!found || more.length > 0) throw new Error(`expected one ${kind} in: ${names(manifests).join(', ')}`)
  return found
}

export function names(manifests: readonly Manifest[]): string[] {
  return manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`).toSorted()
}

export function podTemplate({ kind, spec }: Manifest): PodTemplate {
  if (!spec?.template) throw new Error(`${kind} has no pod template`)
  return spec.template
}

/** Its only container. */
export function container(manifest: Manifest): Container {
  const [first, ...more] = podTemplate(manifest).spec.containers
  if (!first || more.length > 0) throw new Error(`${manifest.kind} has not exactly one container`)
  return first
}

// kubectl takes a tenth of a second to start, and many tests look at the same rendering.
const rendered = new Map<string, Promise<Manifest[]>>()

function once(key: string, work: () => Promise<Manifest[]>): Promise<Manifest[]> {
  const known = rendered.get(key) ?? work()
  rendered.set(key, known)
  return known
}

async function kustomize(directory: string): Promise<Manifest[]> {
  const run = Bun.spawn(['kubectl', 'kustomize', directory], { stderr: 'pipe' })
  const [out, errors, code] = await Promise.all([run.stdout.text(), run.stderr.text(), run.exited])
  if (code !== 0) throw new Error(`kubectl kustomize ${directory}: ${errors}`)
  return parseAllDocuments(out).map((document) => document.toJS() as Manifest)
}
