/** Some apps instead of all, for clients that name them. */

export interface Filter {
  /** The same for the same apps: what is made for one client is shared by all with this key. */
  readonly key: string
  lets(app: string | undefined): boolean
}

/** @param apps as the client named them; none means all, and no filter. */
export function createFilter(apps: readonly string[]): Filter | undefined {
  if (apps.length === 0) return undefined
  const wanted = new Set(apps)
  return { key: [...wanted].sort().join(' '), lets: (app) => app !== undefined && wanted.has(app) }
}
