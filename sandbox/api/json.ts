/** JSON as it arrives: unknown until looked at. */
import type { KubeObject } from '../store.ts'

export type Json = string | number | boolean | null | Json[] | JsonMap

export interface JsonMap {
  [key: string]: Json
}

export function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The same object, seen as plain JSON. */
export function toMap(object: KubeObject): JsonMap {
  return object as unknown as JsonMap
}

export function toObject(map: JsonMap): KubeObject {
  return map as unknown as KubeObject
}

/** The value at a path of keys; undefined where any of them is missing. */
export function at(value: unknown, ...path: string[]): Json | undefined {
  let here = value as Json | undefined
  for (const key of path) {
    if (!isMap(here)) return undefined
    here = here[key]
  }
  return here
}

export function mapAt(value: unknown, ...path: string[]): JsonMap {
  const found = at(value, ...path)
  return isMap(found) ? found : {}
}

/** The maps in the list at a path. */
export function listAt(value: unknown, ...path: string[]): JsonMap[] {
  const found = at(value, ...path)
  return Array.isArray(found) ? found.filter(isMap) : []
}

/** A scalar as text; '' for nothing. Other values as JSON, so that no message ever says [object Object]. */
export function text(value: Json | undefined): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

export function stringAt(value: unknown, ...path: string[]): string {
  const found = at(value, ...path)
  return typeof found === 'string' || typeof found === 'number' ? String(found) : ''
}

export function numberAt(value: unknown, ...path: string[]): number {
  const found = at(value, ...path)
  return typeof found === 'number' ? found : 0
}
