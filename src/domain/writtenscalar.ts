/** Values of a catalog file, in which numbers and booleans keep their text. */

/** A number or boolean of the file, with its text. For example, `1.10` has the value 1.1. */
export class WrittenScalar {
  readonly value: number | boolean
  readonly source: string
  constructor(value: number | boolean, source: string) {
    this.value = value
    this.source = source
  }
  /** Returns the text of the file, also for a number that is the key of a map. */
  toString(): string {
    return this.source
  }
}

/**
 * Returns `value` without WrittenScalar. A number that JavaScript would write in another way, such as `1.10`
 * or `0123`, becomes its text.
 */
export function plainValue(value: unknown): unknown {
  if (value instanceof WrittenScalar) {
    const isKept = typeof value.value === 'boolean' || String(value.value) === value.source
    return isKept && Number.isFinite(Number(value.value)) ? value.value : value.source
  }
  if (Array.isArray(value)) return value.map(plainValue)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainValue(inner)]))
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof WrittenScalar)
