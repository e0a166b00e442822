/** What must hold of a workflow beyond its syntax. Each rule answers a sentence for what breaks it. Pure. */
import { parse } from 'yaml'
import { z } from 'zod'

const step = z.looseObject({
  id: z.string().optional(),
  if: z.string().optional(),
  run: z.string().optional(),
  uses: z.string().optional(),
  with: z.record(z.string(), z.unknown()).default({}),
})
const permissions = z.union([z.string(), z.record(z.string(), z.string())]).optional()
const concurrency = z
  .looseObject({ group: z.string(), 'cancel-in-progress': z.boolean().optional() })
  .optional()
const job = z.looseObject({
  if: z.string().optional(),
  needs: z
    .union([z.string(), z.array(z.string())])
    .default([])
    .transform((names) => [names].flat()),
  'runs-on': z.string(),
  'timeout-minutes': z.number().optional(),
  environment: z.string().optional(),
  permissions,
  concurrency,
  steps: z.array(step),
})
const workflow = z.looseObject({
  on: z.record(z.string(), z.unknown()),
  permissions,
  concurrency,
  env: z.unknown().optional(),
  jobs: z.record(z.string(), job),
})
export type Workflow = z.infer<typeof workflow>
type Job = z.infer<typeof job>
type Step = z.infer<typeof step>

/** @throws Error when it is no workflow */
export const parseWorkflow = (text: string): Workflow => workflow.parse(parse(text))

/** The steps of an action of this repository. */
export const parseSteps = (text: string): Step[] =>
  z.looseObject({ runs: z.looseObject({ steps: z.array(step) }) }).parse(parse(text)).runs.steps

/** The flags of each script, by its name. */
export type Flags = ReadonlyMap<string, ReadonlySet<string>>

export function problems(of: Workflow, flags: Flags): string[] {
  const jobs = Object.entries(of.jobs)
  return [
    ...triggers(of),
    ...(JSON.stringify(of.permissions) === '{"contents":"read"}'
      ? []
      : ['permissions are not contents: read']),
    ...(mentionsSecret(of.env) ? ['a secret is in the environment of every job'] : []),
    ...jobs.flatMap(([name, one]) =>
      [
        ...machine(one),
        ...writes(one),
        ...pullRequests(of, one),
        ...environments(of, one),
        ...kubeconfig(one),
        ...stepProblems(one.steps, flags),
      ].map((problem) => `${name}: ${problem}`),
    ),
  ]
}

export const stepProblems = (steps: readonly Step[], flags: Flags): string[] =>
  steps.flatMap((one) => [...expressions(one), ...commits(one), ...credentials(one), ...calls(one, flags)])

/** Both of these run the default branch's workflow, with its secrets, for whoever opens a pull request. */
function triggers({ on }: Workflow): string[] {
  return ['pull_request_target', 'workflow_run'].filter((name) => name in on)
}

function machine({ 'runs-on': label, 'timeout-minutes': minutes }: Job): string[] {
  return [
    ...(label === 'ubuntu-24.04' ? [] : [`runs on ${label}`]),
    ...(minutes === undefined ? ['has no timeout'] : []),
  ]
}

/** Who may write what: an image, or its proof, by the script that pushes it; code scanning by a job that runs nothing of ours. */
function writes({ permissions = {}, steps }: Job): string[] {
  if (typeof permissions === 'string') return [`has the permissions ${permissions}`]
  const runs = steps.map(({ run = '', uses = '' }) => (uses.startsWith('./') ? uses : run)).join('')
  const allowed: Record<string, boolean> = {
    packages: /scripts\/(docker-build\.ts|security-scan\.ts --release)/.test(runs),
    'security-events': runs === '',
  }
  return Object.entries(permissions)
    .filter(([name, may]) => may !== 'read' && !allowed[name])
    .map(([name]) => `may write ${name}`)
}

const PUSH = "github.event_name == 'push'"

/** A job that a pull request starts sees no secret, deploys nothing, and may write only where nothing of it runs. */
function pullRequests({ on }: Workflow, one: Job): string[] {
  if (!('pull_request' in on) || isForPushes(one.if)) return []
  const { permissions: may = {}, environment } = one
  return [
    ...(mentionsSecret(one) ? ['a pull request sees a secret'] : []),
    ...(environment === undefined ? [] : ['a pull request reaches an environment']),
    ...(typeof may !== 'string' && 'packages' in may ? ["a pull request's job may write packages"] : []),
  ]
}

/** The condition holds for pushes alone: that it is one is and-ed to all the rest. */
function isForPushes(condition = ''): boolean {
  let outside = condition.replace(/^\$\{\{|\}\}$/g, '')
  for (let before = ''; before !== outside;) [before, outside] = [outside, outside.replace(/\([^()]*\)/g, '')]
  return !outside.includes('||') && outside.split('&&').some((part) => part.trim() === PUSH)
}

/** A secret that is empty but for pushes is none. */
function mentionsSecret(part: unknown): boolean {
  const guarded = new RegExp(`\\$\\{\\{ ${RegExp.escape(PUSH)} && secrets\\.\\w+ \\|\\| '' \\}\\}`, 'g')
  return /\bsecrets\b|github\.token/.test((JSON.stringify(part) ?? '').replace(guarded, ''))
}

/** Two runs never change one environment at a time, and none is cut off by the next. */
function environments(of: Workflow, one: Job): string[] {
  const { environment } = one
  if (environment === undefined) return []
  const group = one.concurrency ?? of.concurrency
  if (group?.group !== environment && !group?.group.endsWith(`-${environment}`))
    return ['its concurrency group does not name its environment']
  return group['cancel-in-progress'] === false ? [] : ['is cut off by the next run']
}

function kubeconfig({ steps }: Job): string[] {
  if (!steps.some(({ uses }) => uses === './.github/actions/kubeconfig')) return []
  const gone = steps.some(
    (one) => one.if === 'always()' && one.run?.includes('rm -f "$RUNNER_TEMP/kubeconfig"'),
  )
  return gone ? [] : ['leaves its kubeconfig behind']
}

/** Whatever a person may have written becomes part of a program there. */
function expressions({ run = '' }: Step): string[] {
  return run.includes('${{') ? [`an expression is in "${run.trim()}"`] : []
}

/** A tag can be moved to another commit by whoever takes over its owner's account. */
function commits({ uses = './' }: Step): string[] {
  return uses.startsWith('./') || /^[\w./-]+@[0-9a-f]{40}$/.test(uses) ? [] : [`${uses} is no commit`]
}

/** Each line that names a commit, and does not say behind it which version that is. */
export const unversioned = (text: string): string[] =>
  [...text.matchAll(/^.*uses: \S+@[0-9a-f]{40}(.*)$/gm)].flatMap(([line, rest = '']) =>
    /^ # v\d+\.\d+\.\d+$/.test(rest) ? [] : [line.trim()],
  )

/** What runs later in the job could push with the token that a checkout leaves in .git/config. */
function credentials({ uses = '', with: given }: Step): string[] {
  const leaves = uses.startsWith('actions/checkout@') && given['persist-credentials'] !== false
  return leaves ? ['a checkout leaves its token behind'] : []
}

const MOVES_TRAFFIC = ['deploy', 'rollback-deployment', 'deployment-status', 'switch-traffic']

function calls({ run = '' }: Step, flags: Flags): string[] {
  return [...run.matchAll(/^(.*\bbun )?scripts\/([\w-]+)\.ts((?:.|\\\n)*)$/gm)].flatMap(
    ([, by, name = '', rest = '']) => {
      const known = flags.get(name)
      if (!known) return [`there is no script ${name}`]
      const unknown = [...rest.matchAll(/--[\w-]+/g)].map(([flag]) => flag).filter((flag) => !known.has(flag))
      return [
        ...unknown.map((flag) => `${name} knows no ${flag}`),
        ...(MOVES_TRAFFIC.includes(name) && by?.trim() !== 'exec bun'
          ? [`signals do not reach ${name}`]
          : []),
      ]
    },
  )
}
