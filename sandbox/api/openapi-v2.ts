/**
 * OpenAPI v2, which kubectl asks for one thing: whether a `List` may be sent with `fieldValidation`, which it takes
 * to be so if a Namespace may. It wants protobuf (gnostic's openapi_v2.Document), so this is that document by hand.
 */

/** A length-delimited field: https://protobuf.dev/programming-guides/encoding */
function field(number: number, ...parts: (string | Uint8Array)[]): Uint8Array {
  const value = Buffer.concat(parts.map((part) => Buffer.from(part)))
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(value.length), value])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}

/** ParametersItem.parameter → Parameter.nonBody → query parameter, by its name. */
function queryParameter(name: string): Uint8Array {
  return field(8, field(1, field(2, field(3, field(2, 'query'), field(4, name)))))
}

const kind = 'group: ""\nkind: Namespace\nversion: v1\n'
const extension = field(13, field(1, 'x-kubernetes-group-version-kind'), field(2, field(2, kind)))
const patch = field(8, queryParameter('dryRun'), queryParameter('fieldValidation'), extension)
const path = field(2, field(1, '/api/v1/namespaces/{name}'), field(2, patch))

export const OPENAPI_V2 = Buffer.concat([field(1, '2.0'), field(8, path)])
