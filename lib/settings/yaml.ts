/** YAML files that people write: each mistake is told with its line. */
import { readFileSync } from 'node:fs'
import { isNode, LineCounter, parseDocument } from 'yaml'
import { DeployError, Exit, sentence } from '../errors.ts'

export interface Yaml {
  content: unknown
  /** `deploy.yaml:3`: where a path, or the nearest thing above it, stands. */
  at: (path: readonly PropertyKey[]) => string
}

/** @throws DeployError (2) when it cannot be read, which ends in the hint, or is not YAML */
export function readYaml(file: string, hint = ''): Yaml {
  const lines = new LineCounter()
  const document = parseDocument(readText(file, hint), { lineCounter: lines, prettyErrors: false })
  const broken = document.errors.map(
    ({ pos, message }) => `${file}:${lines.linePos(pos[0]).line}: ${message.split('\n')[0]}`,
  )
  if (broken.length > 0) throw new DeployError(broken.join('\n'), Exit.usage)
  const at = (path: readonly PropertyKey[]): string => {
    for (let depth = path.length; depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true)
      if (isNode(node) && node.range) return `${file}:${lines.linePos(node.range[0]).line}`
    }
    return `${file}:1`
  }
  try {
    return { content: document.toJS(), at }
  } catch (error) {
    throw new DeployError(`${at([])}: ${sentence(error)}`, Exit.usage) // an alias of nothing, or a bomb of them
  }
}

function readText(file: string, hint: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new DeployError(`${file} cannot be read (${sentence(error)})${hint && `: ${hint}`}`, Exit.usage)
  }
}
