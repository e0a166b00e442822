/** Programs that are started before they are needed: each is used once, for what it was started for, or for nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerAhead, endAhead, knownAhead, startAhead } from '../../lib/ahead.ts'
import { shell } from '../../lib/command.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ahead-test-'))
})
afterAll(() => {
  endAhead()
  rmSync(folder, { recursive: true, force: true })
})

const sh = shell(() => {})
const file = (name: string): string => join(folder, name)
/** A program that leaves a line each time it runs. */
const counting = (name: string, then = ''): ['sh', '-c', string] => [
  'sh',
  '-c',
  `echo ran >> ${file(name)}; ${then}`,
]
const runs = (name: string): number =>
  existsSync(file(name)) ? readFileSync(file(name), 'utf8').trim().split('\n').length : 0

/** As `kubectl patch`: it prints what it would send. */
const patching = (name: string, ...patch: string[]) =>
  ['sh', '-c', `cat "\${@#--patch-file=}" > ${file(name)}; cat ${file(name)}`, 'kubectl', ...patch] as const

describe('a command that reads', () => {
  test('has run once when it is asked for, and runs again when it is asked for again', async () => {
    const command = counting('read', 'echo out; echo err >&2; exit 3')
    startAhead(command, {})
    const answer = { stdout: 'out\n', stderr: 'err\n', exitCode: 3 }
    expect(await sh.read(command)).toEqual(answer)
    expect(runs('read')).toBe(1)
    expect(await sh.read(command)).toEqual(answer)
    expect(runs('read')).toBe(2)
  })

  test('another one is run', async () => {
    startAhead(counting('mine'), {})
    expect((await sh.read(['echo', 'another'])).stdout).toBe('another\n')
    endAhead()
  })

  test('has its variables', async () => {
    const command = ['sh', '-c', 'echo "$AHEAD"'] as const
    startAhead(command, { AHEAD: 'yes' })
    expect(await answerAhead(command)).toMatchObject({ stdout: 'yes\n' })
  })

  test('that is not there is answered as everywhere', async () => {
    startAhead(['no-such-program-here'], {})
    expect((await sh.read(['no-such-program-here'])).exitCode).toBe(127)
  })

  test('is ended by an interrupt, and when its time is over', async () => {
    const command = ['sleep', '60'] as const
    startAhead(command, {})
    const stop = new AbortController()
    const answer = sh.read(command, { signal: stop.signal })
    stop.abort()
    expect((await answer).exitCode).toBe(124)
    startAhead(command, {})
    expect((await sh.read(command, { timeout: 50 })).exitCode).toBe(124)
    startAhead(command, {})
    expect((await sh.read(command, { signal: AbortSignal.abort() })).exitCode).toBe(124)
  })

  test('whose answer is known is not run', async () => {
    const command = counting('known')
    knownAhead(command, 'said')
    expect(await sh.read(command)).toEqual({ stdout: 'said', stderr: '', exitCode: 0 })
    expect(runs('known')).toBe(0)
  })
})

describe('a command that waits for its patch', () => {
  test('gets it, and is the one that answers', async () => {
    startAhead(patching('patched', '-p', '[]'), {})
    const { stdout, exitCode } = await sh.write(patching('patched', '-p', '[{"op":"test"}]'))
    expect([stdout, exitCode]).toEqual(['[{"op":"test"}]', 0])
  })

  test('that nobody wants is ended with nothing written', async () => {
    const command = [
      'sh',
      '-c',
      `echo $$ > ${file('pid')}; cat "\${@#--patch-file=}" > ${file('never')}; echo done >> ${file('never')}`,
      'kubectl',
    ] as const
    startAhead([...command, '-p', '[]'], {})
    while (!existsSync(file('never'))) await Bun.sleep(5)
    endAhead()
    const pid = readFileSync(file('pid'), 'utf8').trim()
    while (existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '))
      await Bun.sleep(5)
    expect(readFileSync(file('never'), 'utf8')).toBe('')
  })

  test('the same words without a patch are another command', async () => {
    startAhead(patching('words', '-p', '[]'), {})
    expect(await answerAhead(patching('words'))).toBeUndefined()
    endAhead()
  })
})
