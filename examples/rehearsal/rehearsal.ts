/** A cluster, the application's images, and any number of workspaces, closed together. */
import { startCluster, type Cluster } from './cluster.ts'
import { buildImages, type Images } from './image.ts'
import { Workspace, type Wishes } from './workspace.ts'

export interface Rehearsal {
  cluster: Cluster
  images: Images
  /** A workspace, with these versions of the application (without faults) pushed. */
  open(wishes?: Wishes, ...versions: string[]): Promise<Workspace>
  close(): Promise<void>
}

export async function startRehearsal(): Promise<Rehearsal> {
  const cluster = await startCluster()
  const images = await buildImages(cluster)
  const workspaces: Workspace[] = []
  return {
    cluster,
    images,
    open: async (wishes, ...versions) => {
      await Promise.all(versions.map((version) => images.push(version)))
      const workspace = await Workspace.open(cluster, images, wishes)
      workspaces.push(workspace)
      return workspace
    },
    close: async () => {
      await Promise.all(workspaces.map((workspace) => workspace.close()))
      await cluster.stop()
    },
  }
}
