/** Selects the events for a client that requested only the events of certain apps. */

export interface Filter {
  /**
   * Key for cached data of the filter. Filters for the same apps have the same key, so that their clients
   * share encoded events.
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
