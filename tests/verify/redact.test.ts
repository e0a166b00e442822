import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unzipSync, zipSync } from 'fflate'
import { Secrets } from '../../lib/secrets.ts'
import { redactFolder } from '../../verify/redact.ts'
import { redactResult } from '../../verify/results.ts'

const SECRET = 'pa"ss wörd\\&<1>!'

const SESSION = 'SESSIONTOKEN0123456789abcdef'
const HAR = JSON.stringify({
  headers: [
    { name: 'Set-Cookie', value: `session=${SESSION}; HttpOnly; Path=/; Domain=example.com` },
    { name: 'host', value: 'example.com' },
  ],
  cookies: [{ name: 'n', value: '10042', path: '/' }],
})
const learnt = [{ name: 'trace', data: Buffer.from(JSON.stringify({ said: SESSION })) }]

interface Entry {
  name: string
  data: Buffer
}
const zip = (entries: Entry[]): Buffer =>
  Buffer.from(zipSync(Object.fromEntries(entries.map(({ name, data }) => [name, data]))))
const unzip = (archive: Buffer): Entry[] =>
  Object.entries(unzipSync(archive)).map(([name, data]) => ({ name, data: Buffer.from(data) }))

test('a result, in all its words', () => {
  const words = {
    name: `n ${SECRET}`,
    expected: `e ${SECRET}`,
    seen: `s ${SECRET}`,
    evidence: [`f-${SECRET}`],
  }
  const result = { gate: 'smoke', verdict: 'failed', ms: 1, ...words } as const
  const clean = { name: 'n ***', expected: 'e ***', seen: 's ***', evidence: ['f-***'] }
  expect(redactResult(result, new Secrets([SECRET]))).toEqual({ ...result, ...clean })
})

describe('a folder of evidence', () => {
  const folder = mkdtempSync(join(tmpdir(), 'redact-test-'))
  const at = (name: string): string => join(folder, name)
  const entries = [
    { name: 'trace', data: Buffer.from(JSON.stringify({ value: SECRET })) },
    { name: 'picture', data: Buffer.from([0, 255, 128, 10]) },
  ]
  // As we would not pack it: that it is the same afterwards shows that it was left alone.
  const packedOtherwise = Buffer.from(zipSync({ picture: Buffer.alloc(100, 'a') }, { level: 0 }))
  const page = (archive: Buffer): string =>
    `<html>${Bun.escapeHTML(SECRET)}<template>data:application/zip;base64,${archive.toString('base64')}</template>`

  beforeEach(async () => {
    mkdirSync(at('deep'), { recursive: true })
    writeFileSync(at('deep/console.txt'), `typed ${SECRET} ümlaut\n`)
    writeFileSync(at('deep/trace.zip'), zip(entries))
    writeFileSync(at('index.html'), page(zip(entries)))
    writeFileSync(at('picture.png'), Buffer.from([137, 80, 0, 255, 128]))
    writeFileSync(at('clean.zip'), packedOtherwise)
    writeFileSync(at('broken.zip'), `not a zip, with ${SECRET}`)
    writeFileSync(at('trace.zip'), zip([{ name: 'network', data: Buffer.from(HAR) }]))
    writeFileSync(at('page.html'), page(zip([{ name: 'deep.zip', data: zip(learnt) }])))
    writeFileSync(
      at('seen.txt'),
      `the page says ${SESSION} and ${Buffer.from(`id:${SESSION}`).toString('base64')}`,
    )
    await redactFolder(folder, new Secrets([SECRET]))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('holds the secret nowhere, and everything else still', () => {
    expect(readFileSync(at('deep/console.txt'), 'utf8')).toBe('typed *** ümlaut\n')
    const clean = [{ name: 'trace', data: Buffer.from('{"value":"***"}') }, ...entries.slice(1)]
    expect(unzip(readFileSync(at('deep/trace.zip')))).toEqual(clean)
    const html = readFileSync(at('index.html'), 'utf8')
    expect(html).toStartWith('<html>***<template>')
    expect(unzip(Buffer.from(/base64,([^<]+)/.exec(html)?.[1] ?? '', 'base64'))).toEqual(clean)
  })

  test('a session that a trace shows is taken out of every file, and its headers keep their names', () => {
    const [network] = unzip(readFileSync(at('trace.zip')))
    expect(network?.data.toString()).toBe(HAR.replaceAll(SESSION, '***').replace('"10042"', '"***"'))
    expect(readFileSync(at('seen.txt'), 'utf8')).toMatch(
      /^the page says \*\*\* and [\w=]{0,5}\*\*\*[\w=]{0,3}$/,
    )
    const html = readFileSync(at('page.html'), 'utf8')
    const [deep] = unzip(Buffer.from(/base64,([^<]+)/.exec(html)?.[1] ?? '', 'base64'))
    expect(unzip(deep?.data ?? Buffer.of())[0]?.data.toString()).toBe('{"said":"***"}')
  })

  test('what holds no secret is as it was', () => {
    expect(readFileSync(at('picture.png'))).toEqual(Buffer.from([137, 80, 0, 255, 128]))
    expect(readFileSync(at('clean.zip')).equals(packedOtherwise)).toBe(true)
  })

  test('what cannot be looked into is not kept', () => {
    expect(existsSync(at('broken.zip'))).toBe(false)
  })

  test('is left as it is once that is called off', async () => {
    writeFileSync(at('late.txt'), SECRET)
    const redacting = redactFolder(folder, new Secrets([SECRET]), AbortSignal.abort('enough'))
    expect(await redacting.catch(String)).toBe('enough')
    expect(readFileSync(at('late.txt'), 'utf8')).toBe(SECRET)
  })
})
