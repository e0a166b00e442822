import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { checkAccess, checkContext, needs, needsOf } from '../../../lib/cluster/access.ts'
import { Kubectl } from '../../../lib/cluster/kubectl.ts'
import type { Output, Shell } from '../../../lib/command.ts'
import type { Environment } from '../../../lib/settings/file.ts'
import { refused, UNREACHABLE } from '../cluster.ts'
import { failure, FakeClock, rehearse } from '../world.ts'

describe('checkContext (S8)', () => {
  test.each<[string | undefined, string, number, RegExp]>([
    ['test', 'other', 0, /^$/],
    [undefined, 'test', 0, /^$/],
    [
      'production',
      'test',
      2,
      /^test is deployed through the context "test", but the context is "production"\. .*kubectl config use-context test/,
    ],
    [undefined, 'production', 2, /but the context is "production"/],
    [undefined, '', 2, /but kubectl has no current context/],
  ])('--context %p, current %p → %p', async (chosen, current, code, message) => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    cluster.intercept = () => ({ stdout: `${current}\n`, stderr: '', exitCode: current ? 0 : 1 })
    const failed = await failure(checkContext(world.environment, chosen, world.kubectl))
    expect(failed).toMatchObject({ code, message: expect.stringMatching(message) })
  })
})

const verbs = (wanted: readonly (readonly string[])[]) =>
  wanted.flatMap(([group, resource, ...rest]) => rest.map((verb) => `${verb} ${resource}.${group}`))

/** A server that shows these rules, and allows what `allowed` names when it is asked. */
function authorizer(rules: object[] | Output | null, allowed: readonly string[] = []) {
  const asked: string[][] = []
  const shell: Shell = {
    read: (_, { input = '' } = {}) => {
      const { kind, spec, items = [] } = JSON.parse(input)
      if (kind === 'SelfSubjectRulesReview') {
        if (rules !== null && 'exitCode' in rules) return Promise.resolve(rules)
        const status = { resourceRules: rules, incomplete: true, evaluationError: 'a webhook shows no rules' }
        return Promise.resolve({ stdout: JSON.stringify({ kind, spec, status }), stderr: '', exitCode: 0 })
      }
      const reviews = items.map((review: { spec: { resourceAttributes: Record<string, string> } }) => {
        const { verb, resource, subresource, group } = review.spec.resourceAttributes
        const name = [verb, [resource, subresource].filter(Boolean).join('/') + (group && `.${group}`)].join(
          ' ',
        )
        return { name, review: { ...review, metadata: {}, status: { allowed: allowed.includes(name) } } }
      })
      asked.push(reviews.map(({ name }: { name: string }) => name))
      const stdout = reviews.map(({ review }: { review: object }) => JSON.stringify(review)).join('\n')
      return Promise.resolve({ stdout, stderr: '', exitCode: 0 })
    },
    write: () => Promise.reject(new Error('nothing is written')),
    start: () => {
      throw new Error('nothing is started')
    },
  }
  const scope = { context: 'test', namespace: 'chat-test' }
  return { asked, kubectl: new Kubectl(scope, shell, new FakeClock(), new AbortController().signal) }
}

const rule = (verbs: string[], apiGroups: string[], resources: string[], resourceNames?: string[]) => ({
  verbs,
  apiGroups,
  resources,
  ...(resourceNames && { resourceNames }),
})

describe('checkAccess', () => {
  const wanted = [
    ['', 'pods', 'get', 'list'],
    ['', 'pods/log', 'get'],
    ['apps', 'deployments', 'patch'],
  ] as const
  const all = ['get pods', 'list pods', 'get pods/log', 'patch deployments.apps']
  const pods = rule(['get', 'list', 'watch'], [''], ['pods', 'pods/log'])

  test.each<[string, object[] | null, string[]]>([
    ['everything in words', [pods, rule(['patch'], ['apps', 'batch'], ['deployments'])], []],
    ['an administrator', [rule(['*'], ['*'], ['*'])], []],
    ['a subresource of anything', [rule(['get'], [''], ['*/log'])], [all[0]!, all[1]!, all[3]!]],
    ['a parent is not its subresource', [rule(['*'], [''], ['pods'])], ['get pods/log', all[3]!]],
    ['another group', [pods, rule(['*'], ['extensions'], ['deployments'])], [all[3]!]],
    ['named objects alone', [pods, rule(['patch'], ['apps'], ['deployments'], ['chat-blue'])], [all[3]!]],
    ['paths, which are no resources', [{ verbs: ['*'], nonResourceURLs: ['*'] }], all],
    ['nothing', [], all],
    ['null, as Go has it', null, all],
  ])('rules that show %s: only what they do not show is asked about', async (_, rules, unseen) => {
    const { kubectl, asked } = authorizer(rules, all)
    expect(await failure(checkAccess(kubectl, wanted))).toMatchObject({ code: 0 })
    expect(asked.flat()).toEqual(unseen)
  })

  test('what is not allowed is told as RBAC names it', async () => {
    const { kubectl } = authorizer([rule(['list'], [''], ['pods'])], ['get pods'])
    expect(await failure(checkAccess(kubectl, wanted))).toEqual({
      code: 2,
      message:
        'The credentials of context "test" may not, in namespace chat-test: get pods/log, patch deployments.apps. k8s/rbac/ holds the Role that a deployer needs',
    })
  })

  test('a server that refuses to show rules is asked about each verb, ten in one kubectl', async () => {
    const { kubectl, asked } = authorizer(
      refused('Error from server (Forbidden): selfsubjectrulesreviews.authorization.k8s.io is forbidden'),
      verbs(needs.deploy).map((name) => name.replace(/\.$/, '')),
    )
    expect(await failure(checkAccess(kubectl, needs.deploy))).toMatchObject({ code: 0 })
    expect(asked.flat()).toHaveLength(verbs(needs.deploy).length)
    expect(asked.slice(0, -1).every(({ length }) => length === 10)).toBe(true)
  })

  test.each([
    [UNREACHABLE, /does not answer/],
    [
      refused('error: You must be logged in to the server (Unauthorized)'),
      /does not accept these credentials/,
    ],
  ])('a server that cannot be asked is no answer', async (answer, message) => {
    const { kubectl, asked } = authorizer(answer, all)
    const failed = await failure(checkAccess(kubectl, wanted))
    expect(failed).toMatchObject({ code: 1, message: expect.stringMatching(message) })
    expect(asked).toEqual([])
  })

  test('an answer that says nothing of it is no leave', async () => {
    await using rehearsal = rehearse()
    rehearsal.cluster.intercept = () => ({ stdout: '', stderr: '', exitCode: 0 })
    const failed = await failure(checkAccess(rehearsal.world.kubectl, [['', 'pods', 'get', 'list']]))
    expect(failed).toMatchObject({ code: 2, message: expect.stringMatching(/: get pods, list pods\. /) })
  })

  test('one kubectl asks for everything, in the namespace meant', async () => {
    await using rehearsal = rehearse()
    const { cluster, world } = rehearsal
    await checkAccess(world.kubectl, needs.deploy)
    expect(cluster.asked).toEqual(['create --validate=false -f - -o json'])
    expect(cluster.printed).toEqual([])
  })

  test('a rollback needs no more than a deployment', () => {
    const deploy = verbs(needs.deploy)
    expect(verbs(needs.rollback).filter((need) => !deploy.includes(need))).toEqual([])
  })
})

describe('a deployment asks for what it will do', () => {
  const of = async (settings: Partial<Environment>, again = false) => {
    await using rehearsal = rehearse(settings)
    const known = verbs(needs.deploy)
    return verbs(needsOf(rehearsal.world.environment, again)).filter((need) => !known.includes(need))
  }
  const jobs = verbs(needs.migrate)
  const forward = verbs(needs.forward)
  const migrating = join(import.meta.dir, '../../../k8s/overlays/production')
  const plain = join(import.meta.dir, '../manifests')

  test.each<[string, Partial<Environment>, boolean, string[]]>([
    ['nothing more', { manifests: plain }, false, []],
    ['Jobs, where it has a migration', { manifests: migrating }, false, jobs],
    ['no Jobs, when it comes from a record', { manifests: migrating }, true, []],
    [
      'pods to forward to, where there is no preview',
      { manifests: plain, previewUrl: undefined },
      false,
      forward,
    ],
    ['none under rolling', { manifests: plain, previewUrl: undefined, strategy: 'rolling' }, false, []],
  ])('%s', async (_, settings, again, more) => expect(await of(settings, again)).toEqual(more))

  test('a port-forward looks up a pod first', () =>
    expect(forward).toEqual(['get pods.', 'create pods/portforward.']))
})
