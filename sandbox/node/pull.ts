/** Getting a container its image, as its pull policy says, until it is there. */
import type { ContainerSpec } from '../kinds.ts'
import type { Image, Images } from './images.ts'
import { ImageError } from './images.ts'
import { pause } from './pause.ts'

const BACKOFF_MS = { first: 10_000, most: 300_000 }
/** How long `ErrImagePull` is shown before `ImagePullBackOff`. */
const SHOW_ERROR_MS = 1000

/** How a container tells what happens to it: in its status, and by events. */
export interface Teller {
  waitFor(reason: string, message?: string): void
  note(reason: string, message: string): void
  warn(reason: string, message: string): void
}

/** @returns undefined when the pod was stopped before the image could be had */
export async function obtainImage(
  spec: ContainerSpec,
  images: Images,
  tell: Teller,
  stopping: AbortSignal,
): Promise<Image | undefined> {
  for (let wait = BACKOFF_MS.first; ; wait = Math.min(wait * 2, BACKOFF_MS.most)) {
    try {
      return await pullOnce(spec, images, tell)
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      tell.waitFor(error.reason, error.message)
      tell.warn('Failed', `Error: ${error.reason}`)
      if (!(await pause(SHOW_ERROR_MS, stopping))) return undefined
      if (error.reason === 'ErrImagePull') tellBackOff(spec, tell)
      if (!(await pause(wait - SHOW_ERROR_MS, stopping))) return undefined
    }
  }
}

/** @throws ImageError */
async function pullOnce(
  { image, imagePullPolicy }: ContainerSpec,
  images: Images,
  tell: Teller,
): Promise<Image> {
  const present = imagePullPolicy === 'Always' ? undefined : images.get(image)
  if (present) {
    tell.note('Pulled', `Container image "${image}" already present on machine`)
    return present
  }
  if (imagePullPolicy === 'Never') {
    const message = `Container image "${image}" is not present with pull policy of Never`
    throw new ImageError('ErrImageNeverPull', message)
  }
  const began = performance.now()
  tell.note('Pulling', `Pulling image "${image}"`)
  try {
    const pulled = await images.pull(image)
    const took = Math.round(performance.now() - began)
    tell.note('Pulled', `Successfully pulled image "${image}" in ${took}ms`)
    return pulled
  } catch (error) {
    if (error instanceof ImageError) tell.warn('Failed', `Failed to pull image "${image}": ${error.message}`)
    throw error
  }
}

function tellBackOff({ image }: ContainerSpec, tell: Teller): void {
  const message = `Back-off pulling image "${image}"`
  tell.waitFor('ImagePullBackOff', message)
  tell.note('BackOff', message)
  tell.warn('Failed', 'Error: ImagePullBackOff')
}
