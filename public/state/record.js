/**
 * Functions for records whose keys are names of apps. The name `constructor` must not give the property that
 * every object inherits.
 */

/**
 * Returns the value of a name, or undefined.
 * @template T @param {Record<string, T>} record @param {string} name @returns {T | undefined}
 */
export const own = (record, name) => (Object.hasOwn(record, name) ? record[name] : undefined)

/**
 * Returns the record without a name.
 * @template T @param {Record<string, T>} record @param {string} name @returns {Record<string, T>}
 */
export function without(record, name) {
  if (!Object.hasOwn(record, name)) return record
  // Copies the object and deletes one key, because a filter over hundreds of keys is much slower.
  const rest = { ...record }
  delete rest[name]
  return rest
}
