/** What a guide tells its reader to run, to open and to set. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../tree.ts'

/** Code alone, whether fenced, indented or a span: what stands in prose is no command. */
export function codeIn(text: string): string[] {
  const fenced = [...text.matchAll(/^```(?!yaml|json)\w*\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)
  const rest = text.replace(/^```[\s\S]*?^```/gm, '')
  const indented = rest.match(/^ {4}\S.*$/gm) ?? []
  const spans = [...rest.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replace(/\s*\n\s*/g, ' '))
  return [...fenced.flatMap((code) => code.replaceAll('\\\n', ' ').split('\n')), ...indented, ...spans]
}

/** The blocks that are marked as `sh`: each line of them can be pasted. */
export const shellIn = (text: string): string =>
  [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, code = '']) => code).join('')

/** What is typed, one by one: after a prompt, or alone on indented lines, of which deeper ones go on. */
export function commandsIn(text: string): string[] {
  const rest = text.replace(/^ *```(?!console)[\s\S]*?^ *```/gm, '')
  const prompted = [...rest.matchAll(/^ *\$ (.+)$/gm)].map(([, command = '']) => command)
  const blocks = rest.match(/(?<=\n\n)(?: {4}\S.*\n(?: {6,}.*\n)*)+/g) ?? []
  const indented = blocks.flatMap((block) => block.match(/^ {4}\S.*\n(?: {6,}.*\n)*/gm) ?? [])
  return [...prompted, ...indented.map((command) => command.trim())]
}

export interface Called {
  /** Such as `scripts/deploy.ts`. */
  file: string
  flags: string[]
}

/** Scripts of this repository that are called, and the flags they are given. */
export function scriptsIn(text: string): Called[] {
  const calls = codeIn(text).flatMap((code) => [
    ...code.matchAll(/\b((?:scripts|sandbox|examples)\/[\w/-]+\.ts)\b([^|;&#]*)/g),
  ])
  return calls.map(([, file = '', rest = '']) => {
    const own = rest.split(' -- ')[0] ?? ''
    return { file, flags: own.match(/(?<=^|\s|\[)--[a-z][\w-]*/g) ?? [] }
  })
}

export const targetsIn = (text: string): string[] =>
  codeIn(text).flatMap((code) =>
    [...code.matchAll(/(?:^|\s|\()make ([a-z][\w-]*)/g)].map(([, target = '']) => target),
  )

/** Links to files of this repository: where from, which file, and which heading of it. */
export function linksIn(text: string): { path: string; anchor: string }[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [path = '', anchor = ''] = link.split('#')
      return { path, anchor }
    })
}

/** A heading's anchor, as GitHub makes it. */
export const anchorsOf = (text: string): string[] =>
  (text.match(/^#+ .+$/gm) ?? []).map((heading) =>
    heading
      .replace(/^#+ /, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

export const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
