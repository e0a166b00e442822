import { describe, expect, test } from 'bun:test'
import { z } from 'zod'
import { missingProgram, shell as realShell, type Output, type Shell } from '../../../lib/command.ts'
import {
  apply,
  diff,
  get,
  getNamed,
  kustomize,
  logs,
  patchFrom,
  patchService,
  pointer,
  remove,
} from '../../../lib/cluster/commands.ts'
import { isMissing, KubectlError, refusalOf, type Refusal } from '../../../lib/cluster/refusal.ts'
import { Kubectl } from '../../../lib/cluster/kubectl.ts'
import { startCluster } from '../../sandbox/api/cluster.ts'
import { Cluster, refused, UNREACHABLE } from '../cluster.ts'
import { FakeClock, failure } from '../world.ts'

describe('refusalOf: what kubectl said', () => {
  test.each<[Refusal, string]>([
    ['NotFound', 'Error from server (NotFound): services "chat" not found'],
    [
      'AlreadyExists',
      'Error from server (AlreadyExists): error when creating "STDIN": leases.coordination.k8s.io "chat-deploy" already exists',
    ],
    [
      'Conflict',
      'Error from server (Conflict): error when replacing "STDIN": Operation cannot be fulfilled on leases.coordination.k8s.io "chat-deploy": the object has been modified; please apply your changes to the latest version and try again',
    ],
    [
      'Forbidden',
      'Error from server (Forbidden): services "chat" is forbidden: User "system:serviceaccount:x:viewer" cannot patch resource "services" in API group "" in the namespace "x"',
    ],
    [
      'Forbidden',
      'Error from server (Forbidden): pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3',
    ],
    ['Unauthorized', 'error: You must be logged in to the server (Unauthorized)'],
    [
      'Unauthorized',
      'error: You must be logged in to the server (the server has asked for the client to provide credentials)',
    ],
    ['TestFailed', 'The request is invalid: the server rejected our request due to an error in our request'],
    [
      'TestFailed',
      'Error from server: jsonpatch test operation does not apply: testing path /spec/selector failed',
    ],
    [
      'Unreachable',
      'The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?',
    ],
    [
      'Unreachable',
      'Unable to connect to the server: dial tcp: lookup api.example.com on 10.0.0.2:53: no such host',
    ],
    ['Unreachable', 'Unable to connect to the server: net/http: TLS handshake timeout'],
    [
      'Unreachable',
      'Unable to connect to the server: context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
    ],
    [
      'Unreachable',
      'error: Get "https://127.0.0.1:6443/api/v1": read tcp 127.0.0.1:1->127.0.0.1:2: i/o timeout',
    ],
    [
      'Unreachable',
      'Error from server (ServiceUnavailable): the server is currently unable to handle the request',
    ],
    ['Unreachable', 'Error from server: etcdserver: leader changed'],
    ['Unreachable', 'Get "https://127.0.0.1:6443/api": EOF'],
    [
      'Unreachable',
      'Error from server (InternalError): an error on the server ("") has prevented the request from succeeding (get pods)',
    ],
    [
      'Unreachable',
      'Error from server (InternalError): an error on the server ("<html>\\r\\n<h1>502 Bad Gateway</h1>") has prevented the request from succeeding',
    ],
    [
      'Unreachable',
      'Error from server (Timeout): the server was unable to return a response in the time allotted, but may still be processing the request (get pods)',
    ],
    [
      'Unreachable',
      'Error from server (ServerTimeout): The list operation against pods could not be completed at this time, please try again.',
    ],
    [
      'Unreachable',
      'Error from server (TooManyRequests): the server has received too many requests and has asked us to try again later (get pods)',
    ],
    [
      'Unreachable',
      'error: Get "https://10.0.0.1/api/v1": read tcp 10.0.0.2:1->10.0.0.1:443: read: connection reset by peer',
    ],
    ['Unreachable', 'error: Get "https://10.0.0.1/api/v1": dial tcp 10.0.0.1:443: connect: no route to host'],
    [
      'Unreachable',
      'error: Get "https://10.0.0.1/api/v1": getting credentials: exec: executable aws failed with exit code 255',
    ],
    ['Other', 'error: unknown flag: --colour'],
    ['Other', 'The Deployment "chat" is invalid: spec.selector: Invalid value: field is immutable'],
    ['Other', ''],
  ])('%s: %s', (expected, stderr) => expect(refusalOf({ stderr })).toBe(expected))
})

const read = (command: readonly string[]) => command.join(' ')

describe('builders', () => {
  test.each([
    [get(['pods', 'services'], '--selector=a=b'), 'kubectl get pods,services --selector=a=b -o json'],
    [getNamed('service/a', 'lease/b'), 'kubectl get service/a lease/b --ignore-not-found -o json'],
    [
      patchService('chat', [{ op: 'remove', path: '/a' }]),
      'kubectl patch service chat --type=json -p [{"op":"remove","path":"/a"}] -o json --field-manager=deploy-scripts-switch',
    ],
    [
      patchFrom('/tmp/x', 'configmap', 'a'),
      'kubectl patch configmap a --type=json --patch-file=/tmp/x -o json',
    ],
    [
      apply('--dry-run=server'),
      'kubectl apply --server-side --force-conflicts --field-manager=deploy-scripts -f - --dry-run=server',
    ],
    [diff(), 'kubectl diff --server-side --force-conflicts --field-manager=deploy-scripts -f -'],
    [remove('job', ['a', 'b'], '--wait=false'), 'kubectl delete job a b --ignore-not-found --wait=false'],
    [logs('p', 'app', '--previous'), 'kubectl logs p -c app --tail=250 --previous'],
  ])('%#', (command, line) => expect(read(command)).toBe(line))

  test.each([
    [['metadata', 'annotations', 'deploy-scripts/lock'], '/metadata/annotations/deploy-scripts~1lock'],
    [['a~b', 'c/d~e'], '/a~0b/c~1d~0e'],
    [[''], '/'],
  ])('pointer %j', (segments, expected) => expect(pointer(...segments)).toBe(expected))
})

/** A kubectl that answers in turn. */
function answering(...answers: Output[]): {
  kubectl: Kubectl
  lines: string[][]
  clock: FakeClock
  stop: AbortController
} {
  const lines: string[][] = []
  const clock = new FakeClock()
  const stop = new AbortController()
  const next = (command: readonly string[]): Promise<Output> => {
    lines.push([...command])
    return Promise.resolve(answers.shift() ?? { stdout: '', stderr: '', exitCode: 0 })
  }
  const shell = { read: next, write: next, start: () => new Cluster().start() }
  return {
    kubectl: new Kubectl({ context: 'test', namespace: 'ns' }, shell, clock, stop.signal),
    lines,
    clock,
    stop,
  }
}

const ok = (stdout: string): Output => ({ stdout, stderr: '', exitCode: 0 })
const named = z.object({ name: z.string() })

const landed = async () => await Promise.resolve({ name: 'ours' })
const nobody = async () => await Promise.resolve(undefined)

describe('Kubectl', () => {
  test('every command says which cluster and namespace it means (S8)', async () => {
    const { kubectl, lines } = answering()
    await kubectl.read(['kubectl', 'get', 'pods'])
    await kubectl.write(['kubectl', 'scale', 'x'])
    await kubectl.ask(['kubectl', 'diff'])
    await kubectl.quietly(['kubectl', 'create'], named)
    for (const line of lines)
      expect(line.slice(0, 4)).toEqual([
        'kubectl',
        '--context=test',
        '--namespace=ns',
        '--request-timeout=15s',
      ])
    await kubectl.read(kustomize('/x'))
    expect(lines.at(-1)).toEqual(['kubectl', 'kustomize', '/x'])
  })

  test('a read is tried again while the server is away, with pauses, and then no more', async () => {
    const again = answering(UNREACHABLE, UNREACHABLE, ok('here'))
    expect(await again.kubectl.read(['kubectl', 'get', 'pods'])).toBe('here')
    expect(again.clock.slept).toEqual([300, 1000])
    const never = answering(UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE, ok('too late'))
    expect(await failure(never.kubectl.read(['kubectl', 'get', 'pods']))).toMatchObject({
      code: 1,
      message: expect.stringMatching(/^The cluster of context "test" does not answer: Unable to connect/),
    })
  })

  test('what was refused is not tried again, nor is a write', async () => {
    const read = answering(refused('Error from server (Forbidden): no'), ok('x'))
    expect(await failure(read.kubectl.read(['kubectl', 'get', 'pods']))).toMatchObject({ code: 1 })
    const write = answering(UNREACHABLE, ok('x'))
    expect(await failure(write.kubectl.write(['kubectl', 'scale', 'x']))).toMatchObject({ code: 1 })
    const quiet = answering(UNREACHABLE, ok('x'))
    expect(await failure(quiet.kubectl.quietly(['kubectl', 'create'], named))).toMatchObject({ code: 1 })
    for (const { lines } of [read, write, quiet]) expect(lines).toHaveLength(1)
  })

  test('a change that is insisted on is made again while the server is away, for ten seconds', async () => {
    const again = answering(UNREACHABLE, UNREACHABLE, ok('{"name":"a"}'))
    expect(await again.kubectl.insist(['kubectl', 'patch'], named)).toEqual([{ name: 'a' }])
    expect(again.clock.slept).toEqual([300, 1000])
    const never = answering(...Array.from({ length: 9 }, () => UNREACHABLE))
    expect(await failure(never.kubectl.insist(['kubectl', 'patch'], named))).toMatchObject({
      message: expect.stringMatching(/does not answer/),
    })
    expect(never.clock.slept).toEqual([300, 1000, 2000, 3000, 3000])
  })

  test('a slow server gets a second try all the same, and no third', async () => {
    const slow = answering(UNREACHABLE, UNREACHABLE, ok('{"name":"a"}'))
    slow.clock.during.set(300, () => slow.clock.sleep(15_000))
    expect(await failure(slow.kubectl.insist(['kubectl', 'patch'], named))).toMatchObject({ code: 1 })
    expect(slow.lines).toHaveLength(2)
  })

  test('a refusal ends it, unless what is read back shows that an earlier try had come through', async () => {
    const exists = refused('Error from server (AlreadyExists): a "a" already exists')
    const ours = answering(UNREACHABLE, exists)
    expect(await ours.kubectl.insist(['kubectl', 'create'], named, { landed })).toEqual([{ name: 'ours' }])
    for (const [answer, options] of [
      [exists, { landed: nobody }],
      [exists, {}],
      [refused('Error from server (Forbidden): no'), { landed }],
    ] as const) {
      const other = answering(answer, ok('{"name":"a"}'))
      expect(await failure(other.kubectl.insist(['kubectl', 'create'], named, options))).toMatchObject({
        code: 1,
      })
      expect(other.lines).toHaveLength(1)
    }
  })

  test('an interrupt during a command is told as one; a write that came through counts', async () => {
    const { kubectl, stop } = answering(refused(''), ok('done'))
    stop.abort(new Error('SIGINT'))
    expect(kubectl.read(['kubectl', 'get', 'pods'])).rejects.toThrow('SIGINT')
    expect(await kubectl.write(['kubectl', 'scale', 'x'])).toBe('done')
    expect(await kubectl.unstoppable().read(['kubectl', 'get', 'pods'])).toBe('')
  })

  test.each<[string, string, unknown]>([
    ['nothing', '', []],
    ['one object', '{"name":"a"}', [{ name: 'a' }]],
    ['a list', '{"kind":"List","items":[{"name":"a"},{"name":"b"}]}', [{ name: 'a' }, { name: 'b' }]],
    ['an empty list', '{"kind":"List","items":[]}', []],
    [
      'one behind the other',
      '{\n    "name": "a\\n{"\n}\n{\n    "name": "b"\n}\n',
      [{ name: 'a\n{' }, { name: 'b' }],
    ],
  ])('an answer of %s', async (_, text, expected) => {
    expect(await answering(ok(text)).kubectl.objects(['kubectl', 'get', 'x'], named)).toEqual(
      expected as { name: string }[],
    )
  })

  test.each(['{"name":1}', '{"kind":"List","items":[{}]}'])(
    'an answer in another form is an error: %s',
    async (text) => {
      const failed = await failure(answering(ok(text)).kubectl.objects(['kubectl', 'get', '-o', 'x'], named))
      expect(failed).toMatchObject({
        code: 1,
        message: expect.stringMatching(/^kubectl get x answered in an unknown form: /),
      })
    },
  )

  test('a change that is answered with nothing is an error', async () => {
    expect(
      await failure(answering(ok('')).kubectl.change(['kubectl', 'patch', 'service', 'x'], named)),
    ).toEqual({
      code: 1,
      message: 'kubectl patch service answered with no object',
    })
  })

  test.each<[string, Output, number, RegExp]>([
    [
      'no kubectl',
      { stdout: '', stderr: 'sh: kubectl: not found', exitCode: 127 },
      2,
      /^kubectl is not on PATH\. Install it: https:/,
    ],
    [
      'no such context',
      refused('error: context "test" does not exist'),
      2,
      /^kubectl knows no context "test": add it to your kubeconfig/,
    ],
    [
      'credentials that are refused',
      refused('error: You must be logged in to the server (Unauthorized)'),
      1,
      /does not accept these credentials$/,
    ],
    [
      "anything else is told in kubectl's words",
      refused('Error from server (NotFound): pods "a" not found'),
      1,
      /^kubectl get pods: Error from server \(NotFound\)/,
    ],
    ['no words at all', { stdout: '', stderr: '', exitCode: 9 }, 1, /^kubectl get pods: exit code 9$/],
    [
      'no words, and no time left',
      { stdout: '', stderr: '', exitCode: 124 },
      1,
      /^kubectl get pods: it was ended before it had an answer; is the cluster slow\?$/,
    ],
  ])('%s', async (_, output, code, message) => {
    const failed = await failure(answering(output).kubectl.write(['kubectl', 'get', 'pods']))
    expect(failed).toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('what is missing is told from what is refused', () => {
    expect(isMissing(new KubectlError('NotFound', 'x'))).toBe(true)
    expect(isMissing(new KubectlError('Forbidden', 'x'))).toBe(false)
    expect(isMissing(new Error('NotFound'))).toBe(false)
    expect(missingProgram('helm')).toBe('helm is not on PATH. Install it: see the documentation of helm')
  })
})

describe("a user's own settings of kubectl", () => {
  const shell = realShell(() => {})
  const kubectl = (env: Record<string, string>) => {
    const theirs: Shell = {
      ...shell,
      read: (command, options) => shell.read(command, { ...options, env: { ...env, ...options?.env } }),
    }
    const scope = { context: 'sandbox', namespace: 'test' }
    return new Kubectl(scope, theirs, new FakeClock(), new AbortController().signal)
  }

  test('an external diff does not hide what changes', async () => {
    const cluster = startCluster()
    try {
      await cluster.kubectl(['create', 'configmap', 'chat', '--from-literal=greeting=hello'])
      const wanted = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'chat' },
        data: { greeting: 'bye' },
      }
      const { stdout, exitCode } = await kubectl({
        KUBECONFIG: cluster.kubeconfig,
        KUBECTL_EXTERNAL_DIFF: 'true',
      }).ask(diff(), { input: JSON.stringify(wanted) })
      expect(stdout).toContain('\n-  greeting: hello\n+  greeting: bye\n')
      expect(exitCode).toBe(1)
    } finally {
      cluster.stop()
    }
  }, 60_000)

  test('kuberc, which can make delete ask, is off for every command', async () => {
    const said: (Readonly<Record<string, string>> | undefined)[] = []
    const note: Shell['read'] = (_, { env } = {}) => (said.push(env), Promise.resolve(ok('{"name":"a"}')))
    const noting: Shell = { read: note, write: note, start: () => new Cluster().start() }
    const scope = { context: 'test', namespace: 'ns' }
    const quiet = new Kubectl(scope, noting, new FakeClock(), new AbortController().signal)
    await quiet.read(remove('job', ['a']))
    await quiet.ask(diff(), { input: '' })
    await quiet.write(apply(), { timeout: 1 })
    await quiet.quietly(get(['pods']), named)
    expect(said).toHaveLength(4)
    for (const env of said) expect(env).toMatchObject({ KUBERC: 'off', KUBECTL_KUBERC: 'false' })
  })
})
