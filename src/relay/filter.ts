/** Filter for clients that request the events of some apps only. */

export interface Filter {
  /** Equal for the same apps, so that clients with the same filter share batches and snapshots. */
  readonly key: string
  /** Returns true if events of this app are sent. */
  includes(app: string | undefined): boolean
}

/** Creates a filter. Returns undefined for an empty list, which means all apps. */
export function createFilter(apps: readonly string[]): Filter | undefined {
  if (apps.length === 0) return undefined
  const wanted = new Set(apps)
  return { key: [...wanted].sort().join(' '), includes: (app) => app !== undefined && wanted.has(app) }
}
