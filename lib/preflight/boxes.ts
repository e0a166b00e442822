/** The checklist: each box with what it is called and what it is judged by. All are asked at the same time. */
import { DeployError, sentence } from '../errors.ts'
import { boxIds, type BoxId } from '../settings/preflight.ts'
import { plain } from '../text.ts'
import { asked, type Box, type Finding } from './box.ts'
import { judgeCertificate } from './certificate.ts'
import { judgeClock } from './clock.ts'
import type { Facts, Planned } from './facts.ts'
import { judgeApiOf, judgeDocs, judgeMigrations, judgeScan, judgeStaging, judgeTests } from './release.ts'
import { judgeRoom } from './room.ts'
import { judgeAccess, judgeDrill, judgeStrays, judgeTeam } from './surroundings.ts'
import { judgeWindows } from './windows.ts'
import { judgeDisruption, judgeImage, judgeProbes, judgeShutdown } from './workload.ts'

interface Question {
  title: string
  ask: (facts: Facts) => Finding | Promise<Finding>
}

/** What the manifests and the cluster together say. Where nothing could be planned, nobody knows. */
const of =
  (judge: (planned: Planned, facts: Facts) => Finding | Promise<Finding>): Question['ask'] =>
  async (facts) => {
    const planned = await facts.planned.catch((error: unknown) => {
      throw new DeployError(`it could not be planned: ${plain(sentence(error), 200)}`)
    })
    return await judge(planned, facts)
  }

const questions: Record<BoxId, Question> = {
  tests: { title: 'All tests pass in the CI pipeline', ask: judgeTests },
  scan: { title: 'Security scans show no high-severity vulnerabilities', ask: judgeScan },
  staging: { title: 'The application has been tested in staging', ask: judgeStaging },
  migrations: { title: 'Database migrations are backward compatible', ask: judgeMigrations },
  api: { title: 'API changes are backward compatible', ask: judgeApiOf },
  docs: { title: 'Documentation has been updated', ask: judgeDocs },
  team: { title: 'The team has been notified about the deployment', ask: judgeTeam },
  room: { title: 'There is room for a second color', ask: of((planned, facts) => judgeRoom(facts, planned)) },
  disruption: { title: 'Nodes can be drained without an outage', ask: of(judgeDisruption) },
  probes: { title: 'Pods say when they are ready', ask: of(judgeProbes) },
  shutdown: { title: 'Pods end without losing requests', ask: of(judgeShutdown) },
  image: { title: 'Images are named by digest', ask: of(judgeImage) },
  access: { title: 'The credentials suffice', ask: judgeAccess },
  clock: { title: 'The clocks agree', ask: judgeClock },
  certificate: { title: "The live URL's certificate lasts", ask: judgeCertificate },
  strays: {
    title: 'No stray pods',
    ask: of((planned, { world }) => judgeStrays(planned, world.environment.strategy === 'rolling')),
  },
  windows: {
    title: 'Deployments may begin now',
    ask: ({ world }) => judgeWindows(world.environment.windows, world.clock.now()),
  },
  drill: {
    title: 'The way back has been shown to work',
    ask: async ({ records, world: { clock, environment }, settings }) => {
      const before = environment.requires?.passed?.name ?? environment.name
      return judgeDrill(await records, clock.now(), settings.drillWithin, before)
    },
  },
}

export async function fill(facts: Facts, ids: readonly BoxId[] = boxIds): Promise<Box[]> {
  return await Promise.all(
    ids.map(async (id) => {
      const { title, ask } = questions[id]
      const none = `--ack ${id} "<reason>"`
      const found = await asked(() => ask(facts), none, facts.world.signal)
      return { id, title, ...found, next: found.verdict === 'passed' ? '' : (found.next ?? none) }
    }),
  )
}
