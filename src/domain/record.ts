/**
 * Returns the value of a name in a record, or undefined. The name `constructor` must not give the property
 * that every object inherits.
 */
export const own = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined
