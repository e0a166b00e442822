/**
 * What is handed to kustomize, and what comes back. It reads YAML 1.1 and writes it, in which other words are
 * numbers and dates than in the YAML 1.2 of our library: neither side may take a string for anything else.
 */
import { parseAllDocuments, type ScalarTag } from 'yaml'
import { manifest, type Manifest } from '../cluster/objects.ts'
import { DeployError, Exit } from '../errors.ts'

/** JSON is YAML in which every string is quoted, so nothing is left to guess. As a file for kustomize. */
export function quoted(...documents: readonly unknown[]): string {
  return documents.map((document) => JSON.stringify(document).replace(UNPRINTABLE, escaped)).join('\n---\n')
}

/** JSON may hold these as they are; to YAML 1.1 they are line breaks or forbidden. */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff]/g

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * All that kustomize writes without quotes and that is no string: it goes through JSON, so there is one spelling of
 * each. What it takes for a string because Go's numbers end there (`1e45678`, as a commit's hash may read, or 40
 * hexadecimal digits) stays one, which YAML 1.2 would make Infinity of.
 */
const WRITTEN: readonly ScalarTag[] = [
  { tag: 'tag:yaml.org,2002:null', default: true, test: /^(?:null)?$/, resolve: () => null },
  {
    tag: 'tag:yaml.org,2002:bool',
    default: true,
    test: /^(?:true|false)$/,
    resolve: (text) => text === 'true',
  },
  {
    tag: 'tag:yaml.org,2002:float',
    default: true,
    test: /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[-+]\d+)?$/,
    resolve: (text) => (Number.isFinite(Number(text)) ? Number(text) : text),
  },
]

/** A character that kustomize writes as a line break and an indentation: what it was cannot be read back. */
const LOST = /[\u2028\u2029]/

/** The objects that kustomize printed. @throws DeployError (2) where its text does not say what they were */
export function parseObjects(text: string): Manifest[] {
  const lost = LOST.exec(text)?.[0]
  if (lost !== undefined) {
    const character = `U+${lost.charCodeAt(0).toString(16)}`
    const line = text.slice(0, text.indexOf(lost)).split('\n').at(-1)?.trim()
    const problem = `the line separator ${character}, which kubectl kustomize does not keep; write \\n instead`
    throw new DeployError(`The manifests hold, after "${line}", ${problem}`, Exit.usage)
  }
  return parseAllDocuments(text, { schema: 'failsafe', customTags: [...WRITTEN] }).map((document) => {
    const [error] = document.errors
    if (error) throw new DeployError(`kubectl kustomize printed what cannot be read: ${error.message}`)
    return manifest.parse(document.toJS())
  })
}
