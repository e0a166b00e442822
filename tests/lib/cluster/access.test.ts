import { describe, expect, test } from 'bun:test'
import { checkAccess, checkContext, needs } from '../../../lib/cluster/access.ts'
import { failure, rehearse } from '../world.ts'

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

const review = (verb: string, group: string, resource: string, allowed?: boolean, subresource = '') =>
  JSON.stringify({
    kind: 'SelfSubjectAccessReview',
    metadata: {},
    spec: { resourceAttributes: { verb, group, resource, subresource } },
    ...(allowed !== undefined && { status: { allowed } }),
  })

const verbs = (wanted: readonly (readonly string[])[]) =>
  wanted.flatMap(([group, resource, ...rest]) => rest.map((verb) => `${verb} ${resource}.${group}`))

describe('checkAccess', () => {
  test.each<[string, string[], number, RegExp]>([
    ['all allowed', [review('get', '', 'pods', true), review('list', '', 'pods', true)], 0, /^$/],
    [
      'some denied',
      [review('get', 'apps', 'deployments', false), review('get', '', 'pods', false, 'log')],
      2,
      /may not, in namespace chat-test: get deployments\.apps, get pods\/log\. k8s\/rbac\/ holds the Role/,
    ],
    ['an answer is missing', [review('get', '', 'pods', true)], 2, /may not, .*: an answer for every verb/],
    [
      'an answer without a status',
      [review('get', '', 'pods'), review('list', '', 'pods', true)],
      1,
      /answered in an unknown form/,
    ],
  ])('%s', async (_, answers, code, message) => {
    await using rehearsal = rehearse()
    rehearsal.cluster.intercept = () => ({ stdout: answers.join('\n'), stderr: '', exitCode: 0 })
    const failed = await failure(checkAccess(rehearsal.world.kubectl, [['', 'pods', 'get', 'list']]))
    expect(failed).toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('everything is asked at once, in the namespace meant', async () => {
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
