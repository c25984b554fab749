/** Selects the events for a client that requested only the events of certain apps. */

export interface Filter {
  /**
   * Text that is the same for filters of the same apps, so that clients with such filters share encoded
   * events.
   */
  readonly key: string
  includes(app: string | undefined): boolean
}

/** Returns a filter for these apps. Returns undefined for an empty list, which means all apps. */
export function createFilter(apps: readonly string[]): Filter | undefined {
  if (apps.length === 0) return undefined
  const wanted = new Set(apps)
  return { key: [...wanted].sort().join(' '), includes: (app) => app !== undefined && wanted.has(app) }
}
