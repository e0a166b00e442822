/** The script, on a day that a real Prometheus keeps: counters of a pod, in which every request goes well but for one outage. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { temporaryFolder } from '../../lib/temporary.ts'
import { ROOT } from '../tree.ts'
import { place } from './app.ts'
import { run } from './configuration.ts'
import { podName, programs, startPrometheus, type Running } from './servers.ts'

setDefaultTimeout(120_000)

const HOURS = 8
const STEP = 15
/** Minutes from the beginning at which requests fail. */
const OUTAGE = { from: 200, to: 206 }

describe.skipIf(programs.prometheus === null || Bun.which('promtool') === null)('a backtest', () => {
  const folder = temporaryFolder()
  let prometheus: Running

  beforeAll(async () => {
    writeFileSync(join(folder.path, 'past.txt'), past(Math.floor(Date.now() / 1000) - HOURS * 3600))
    const made = await run(
      'promtool',
      'tsdb',
      'create-blocks-from',
      'openmetrics',
      join(folder.path, 'past.txt'),
      join(folder.path, 'prometheus'),
    )
    expect(made).toMatchObject({ code: 0 })
    prometheus = await startPrometheus(folder.path, {})
    writeFileSync(
      join(folder.path, 'deploy.yaml'),
      stringify({
        app: place.app,
        image: 'example/chat',
        witness: { color: 'color' },
        bake: { prometheus: prometheus.url },
        environments: {
          production: {
            context: 'none',
            namespace: place.namespace,
            manifests: 'k8s',
            url: 'http://127.0.0.1:1',
          },
        },
      }),
    )
  })
  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  const backtest = async (...flags: string[]) =>
    await run(
      process.execPath,
      join(ROOT, 'scripts/backtest-bake.ts'),
      '--env',
      'production',
      '--config',
      join(folder.path, 'deploy.yaml'),
      ...flags,
    )

  test('finds the outage, and nothing else', async () => {
    const { code, out, err } = await backtest('--days', String(HOURS / 24), '--json')
    expect({ code, err }).toEqual({
      code: 0,
      err: expect.stringMatching(/Of 4\d moments without a deployment it would have rolled back 1 /),
    })
    const {
      moments,
      alarms,
      leftOut,
    }: { moments: number; alarms: { indicator: string; after: number }[]; leftOut: object } = JSON.parse(out)
    expect(moments).toBeWithin(40, 46)
    expect(alarms).toEqual([expect.objectContaining({ indicator: 'errors' })])
    expect(leftOut).toMatchObject({ switched: 0 })
    expect(err.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('says how soon 5 % more would have been found', async () => {
    const { code, err } = await backtest('--days', '0.15', '--inject', '5%@10m')
    expect(code).toBe(0)
    expect(err).toMatch(
      /(\d+) of \1 caught within 10 m 0 s \(100 %\)\n  half of them within (4|6|7|9|10)[05] s/,
    )
  })

  test.each([
    [['--inject', 'much'], 2, '--inject expects a share and a time, such as 5%@10m, not "much"'],
    [['--days', 'x'], 2, '--days expects a number of days'],
  ])('%j is wrong usage', async (flags, code, sentence) => {
    const ran = await backtest(...flags)
    expect(ran).toMatchObject({ code, err: expect.stringContaining(sentence) })
  })
})

/** 20 requests a second to green, 1 of 500 fails; in the outage every fifth. */
function past(start: number): string {
  const labels = `namespace="${place.namespace}",app="${place.app}",color="green",pod="${podName('green')}",job="j",instance="i",route="/"`
  const [good, bad]: [string[], string[]] = [[], []]
  let [all, failed] = [0, 0]
  for (let at = 0; at <= HOURS * 3600; at += STEP) {
    const minute = at / 60
    const isOut = minute >= OUTAGE.from && minute < OUTAGE.to
    all += 300
    failed += isOut ? 60 : at % 30 === 0 ? 1 : 0
    good.push(`http_request_duration_seconds_count{${labels},status="200"} ${all - failed} ${start + at}`)
    bad.push(`http_request_duration_seconds_count{${labels},status="500"} ${failed} ${start + at}`)
  }
  return ['# TYPE http_request_duration_seconds_count unknown', ...good, ...bad, '# EOF', ''].join('\n')
}
