/** `--ack ID "<reason>"`, as often as there is something to answer for. It is the only flag that takes two words. */
import { z } from 'zod'
import { DeployError, Exit } from '../errors.ts'
import { parseJson } from '../json.ts'

const pairs = z.array(z.tuple([z.string(), z.string()]))

/** Gathers them all into one flag that takes one word. `--ack "ID,ID: reason"` is taken, too: for make. */
export function gatherAcks(args: readonly string[]): string[] {
  const rest: string[] = []
  const found: [string, string][] = []
  const words = [...args]
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word !== '--ack' && !word.startsWith('--ack=')) rest.push(word)
    else found.push(pair(word === '--ack' ? words.shift() : word.slice('--ack='.length), words))
  }
  return found.length === 0 ? rest : [...rest, `--ack=${JSON.stringify(found)}`]
}

function pair(first: string | undefined, words: string[]): [string, string] {
  const [, ids, told] = /^([a-z, ]+):\s*([^]*)$/.exec(first ?? '') ?? []
  if (ids !== undefined && told !== undefined) return [ids, told]
  const reason = words[0]
  if (!first || first.startsWith('--') || reason === undefined || reason.startsWith('--'))
    throw new DeployError('--ack takes a box and a reason: --ack docs "nothing that users see"', Exit.usage)
  words.shift()
  return [first, reason]
}

/** What was gathered. */
export const acksOf = (flags: Readonly<Record<string, unknown>>): [string, string][] =>
  pairs.parse(parseJson(typeof flags.ack === 'string' ? flags.ack : '[]'))
