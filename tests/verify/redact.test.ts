import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unzipSync, zipSync } from 'fflate'
import { redacted, redactFolder } from '../../verify/redact.ts'

const SECRET = 'pa"ss wörd\\&<1>!'

interface Entry {
  name: string
  data: Buffer
}
const zip = (entries: Entry[]): Buffer =>
  Buffer.from(zipSync(Object.fromEntries(entries.map(({ name, data }) => [name, data]))))
const unzip = (archive: Buffer): Entry[] =>
  Object.entries(unzipSync(archive)).map(([name, data]) => ({ name, data: Buffer.from(data) }))

describe('redacted', () => {
  test.each<[string, string]>([
    ['as it is', SECRET],
    ['in JSON', JSON.stringify({ said: SECRET })],
    ['in JSON in JSON', JSON.stringify({ body: JSON.stringify({ said: SECRET }) })],
    ['in a URL', `?said=${encodeURIComponent(SECRET)}`],
    ['in a form', new URLSearchParams({ said: SECRET }).toString()],
    ['in HTML', Bun.escapeHTML(SECRET)],
    ['twice', `${SECRET} and ${SECRET}`],
  ])('%s', (_, text) => {
    const clean = redacted(`before: ${text} :after`, [SECRET])
    expect(clean).toContain('***')
    expect(clean).toMatch(/^before: .* :after$/)
    expect(clean).not.toMatch(/rd\b|1/)
  })

  test.each([[['']], [[]], [['other']]])('%j: nothing to hide', (secrets) => {
    expect(redacted('some text', secrets)).toBe('some text')
  })
})

describe('a folder of evidence', () => {
  const folder = mkdtempSync(join(tmpdir(), 'redact-test-'))
  const at = (name: string): string => join(folder, name)
  const entries = [
    { name: 'trace', data: Buffer.from(JSON.stringify({ value: SECRET })) },
    { name: 'picture', data: Buffer.from([0, 255, 128, 10]) },
  ]
  const page = (archive: Buffer): string =>
    `<html>${Bun.escapeHTML(SECRET)}<template>data:application/zip;base64,${archive.toString('base64')}</template>`

  beforeEach(async () => {
    mkdirSync(at('deep'), { recursive: true })
    writeFileSync(at('deep/console.txt'), `typed ${SECRET} ümlaut\n`)
    writeFileSync(at('deep/trace.zip'), zip(entries))
    writeFileSync(at('index.html'), page(zip(entries)))
    writeFileSync(at('picture.png'), Buffer.from([137, 80, 0, 255, 128]))
    writeFileSync(at('clean.zip'), zip(entries.slice(1)))
    writeFileSync(at('broken.zip'), `not a zip, with ${SECRET}`)
    await redactFolder(folder, [SECRET])
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

  test('what holds no secret is as it was', () => {
    expect(readFileSync(at('picture.png'))).toEqual(Buffer.from([137, 80, 0, 255, 128]))
    expect(zip(entries.slice(1)).equals(readFileSync(at('clean.zip')))).toBe(true)
  })

  test('what cannot be looked into is not kept', () => {
    expect(existsSync(at('broken.zip'))).toBe(false)
  })
})
