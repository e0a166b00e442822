/** Probes a running container: startup first, then readiness and liveness side by side. */
import type { ContainerSpec, Probe } from '../kinds.ts'
import type { Target } from './handlers.ts'
import { attempt } from './handlers.ts'
import { pause } from './pause.ts'

export type ProbeKind = 'Startup' | 'Readiness' | 'Liveness'

export interface Health {
  started(): void
  ready(isReady: boolean): void
  /** A probe failed this once. */
  failed(kind: ProbeKind, output: string): void
  /** Startup or liveness has failed for good: the container is to be restarted, with this grace period if any. */
  unhealthy(kind: ProbeKind, graceSeconds: number | undefined): void
}

/**
 * Probes until the container ends. Once its pod is being stopped only readiness is still probed.
 * A readiness probe is sent as soon as the container has started, and then each period.
 */
export async function probe(
  spec: ContainerSpec,
  target: Target,
  health: Health,
  { ended, stopping }: { ended: AbortSignal; stopping: AbortSignal },
): Promise<void> {
  const { startupProbe, readinessProbe, livenessProbe } = spec
  const untilStopped = AbortSignal.any([ended, stopping])
  if (startupProbe) {
    const hasStarted = await repeat('Startup', startupProbe, target, health, untilStopped, () => 'enough')
    if (!hasStarted) {
      if (!untilStopped.aborted) health.unhealthy('Startup', startupProbe.terminationGracePeriodSeconds)
      return
    }
  }
  health.started()
  if (!readinessProbe) health.ready(true)
  await Promise.all([
    readinessProbe && keepReady(readinessProbe, target, health, ended),
    livenessProbe && keepAlive(livenessProbe, target, health, untilStopped),
  ])
}

async function keepReady(
  readiness: Probe,
  target: Target,
  health: Health,
  ended: AbortSignal,
): Promise<void> {
  await repeat('Readiness', readiness, target, health, ended, (isReady) => {
    health.ready(isReady)
    return 'more'
  })
}

async function keepAlive(liveness: Probe, target: Target, health: Health, until: AbortSignal): Promise<void> {
  await repeat('Liveness', liveness, target, health, until, (isAlive) => (isAlive ? 'more' : 'enough'))
  if (!until.aborted) health.unhealthy('Liveness', liveness.terminationGracePeriodSeconds)
}

/**
 * Probes each period and judges each time a threshold is reached.
 * @returns the last verdict; false when it was called off
 */
async function repeat(
  kind: ProbeKind,
  settings: Probe,
  target: Target,
  health: Health,
  until: AbortSignal,
  judge: (isSuccess: boolean) => 'more' | 'enough',
): Promise<boolean> {
  const { initialDelaySeconds = 0, periodSeconds = 10, timeoutSeconds = 1 } = settings
  const { successThreshold = 1, failureThreshold = 3 } = settings
  let streak = 0
  let last: boolean | undefined
  if (!(await pause(initialDelaySeconds * 1000, until))) return false
  for (;;) {
    const began = Date.now()
    const limit = AbortSignal.any([until, AbortSignal.timeout(timeoutSeconds * 1000)])
    const { isSuccess, output } = await attempt(settings, target, limit)
    if (until.aborted) return false
    streak = isSuccess === last ? streak + 1 : 1
    last = isSuccess
    if (!isSuccess) health.failed(kind, output)
    const isDecided = streak >= (isSuccess ? successThreshold : failureThreshold)
    if (isDecided && judge(isSuccess) === 'enough') return isSuccess
    if (!(await pause(began + periodSeconds * 1000 - Date.now(), until))) return false
  }
}
