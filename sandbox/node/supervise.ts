/** Watches over a container's run until it ends: postStart hook, probes, memory limit. */
import { parseQuantity } from '../api/quantity.ts'
import type { ContainerSpec } from '../kinds.ts'
import type { Target } from './handlers.ts'
import { attempt } from './handlers.ts'
import { watchMemory } from './memory.ts'
import { probe } from './prober.ts'
import type { Exit } from './process.ts'
import type { Teller } from './pull.ts'
import type { Run } from './run.ts'

export interface Supervision {
  spec: ContainerSpec
  target: Target
  tell: Teller
  /** The pod's grace period in seconds, for a container that has to be restarted. */
  grace: number
  /** Aborted when the pod is being stopped. */
  stopping: AbortSignal
  started(): void
  ready(isReady: boolean): void
}

/** @returns how the run ended, and what a kubelet calls that */
export async function supervise(run: Run, by: Supervision): Promise<Exit & { reason: string }> {
  let isOutOfMemory = false
  const limit = by.spec.resources?.limits?.memory
  const exceeded = () => {
    isOutOfMemory = true
    run.kill()
  }
  const endWatch = limit === undefined ? undefined : watchMemory(run.pid, parseQuantity(limit), exceeded)
  const looking = lookAfter(run, by)
  const exit = await run.exited
  endWatch?.()
  await looking
  const reason = isOutOfMemory ? 'OOMKilled' : exit.exitCode === 0 ? 'Completed' : 'Error'
  return { ...exit, reason }
}

async function lookAfter(run: Run, by: Supervision): Promise<void> {
  const { spec, target, tell } = by
  const restart = (why: string, grace: number) => {
    tell.note('Killing', `Container ${spec.name} ${why}, will be restarted`)
    void run.stop(grace) // it is waited for where the run is
  }
  const postStart = spec.lifecycle?.postStart
  const hook = postStart && (await attempt(postStart, target, run.ended))
  if (hook?.isSuccess === false && !run.ended.aborted) {
    tell.warn('FailedPostStartHook', `PostStartHook failed: ${hook.output}`)
    restart('failed post start hook', by.grace)
    return
  }
  const health = {
    started: () => by.started(),
    ready: (isReady: boolean) => by.ready(isReady),
    failed: (kind: string, output: string) => tell.warn('Unhealthy', `${kind} probe failed: ${output}`),
    unhealthy: (kind: string, grace: number | undefined) =>
      restart(`failed ${kind.toLowerCase()} probe`, grace ?? by.grace),
  }
  await probe(spec, target, health, { ended: run.ended, stopping: by.stopping })
}
