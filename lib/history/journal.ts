/**
 * A record while it is written. It is opened before anything is written, with all that will be changed for a
 * time, so that whoever comes after a kill -9 can put it back (S4).
 */
import { key } from '../app/color.ts'
import { create } from '../cluster/commands.ts'
import { configMap, type Manifest } from '../cluster/objects.ts'
import type { World } from '../cluster/world.ts'
import { sentence } from '../errors.ts'
import { pack } from './pack.ts'
import { endStep, type DeploymentRecord, type Outcome } from './record.ts'
import { asWritten, configMapOf, store } from './store.ts'

/** A record that is being written. Changes are made to `entry`; `save` sends them on. */
export interface Journal {
  entry: DeploymentRecord
  /** Sends the entry as it is now, without waiting; what changes meanwhile goes with the next sending. */
  save(): void
  /** Writes the outcome, and insists until it is stored. Only a success throws when it cannot be. */
  close(outcome: Exclude<Outcome, 'open'>, message?: string): Promise<void>
}

/**
 * Opens a record with the manifests that the release consists of; opening it twice is opening it once.
 * @throws KubectlError when it cannot be stored, or another run has opened one of this id
 */
export async function openRecord(
  world: World,
  entry: DeploymentRecord,
  manifests: readonly Manifest[],
): Promise<Journal> {
  const body = configMapOf(entry)
  const { metadata } = body
  // Killed before it could tell anybody: the next run does.
  const labels = { ...metadata.labels, ...(world.environment.notify && { [key.notify]: 'due' }) }
  const input = JSON.stringify({
    ...body,
    metadata: { ...metadata, labels },
    ...(manifests.length > 0 && { binaryData: { manifests: pack(manifests) } }),
  })
  const landed = () => asWritten(world.kubectl, entry)
  await world.kubectl.insist(create(), configMap, { input, landed })
  world.written?.add(entry)
  return journal(world, entry)
}

export function journal(world: World, entry: DeploymentRecord): Journal {
  const steady = world.kubectl.unstoppable()
  let sending: Promise<void> | undefined
  let changed = false

  const send = async (): Promise<void> => {
    while (changed) {
      changed = false
      // What is lost goes with the next sending, and at the latest with the closing.
      await store(steady, entry, { once: true })
    }
    sending = undefined
  }
  const save = (): void => {
    changed = true
    world.written?.add(entry)
    sending ??= send().catch((error: unknown) => {
      sending = undefined
      world.log.warn(`The record could not be written: ${sentence(error)}`)
    })
  }
  return {
    entry,
    save,
    close: async (outcome, message) => {
      await sending
      world.written?.add(entry)
      endStep(entry, world.clock.now())
      entry.outcome = outcome
      entry.finishedAt = new Date(world.clock.now()).toISOString()
      if (message !== undefined) entry.message = message
      try {
        await store(steady, entry)
      } catch (error) {
        if (outcome === 'succeeded' || outcome === 'verified') throw error
        // A failure is on its way to the person, and must not be hidden by this one. The record stays open.
        world.log.warn(`The record could not be closed: ${sentence(error)}`)
      }
    },
  }
}

/** The same world, in which each step is also entered into the record. */
export function journalled(world: World, journal: Journal): World {
  const { clock, log } = world
  const { entry } = journal
  const step = (name: string): void => {
    log.step(name)
    endStep(entry, clock.now())
    entry.steps.push({ name, at: new Date(clock.now()).toISOString() })
    journal.save()
  }
  return { ...world, log: { ...log, step } }
}
