/** Many callers, few loads. */

/**
 * Runs `load` so that at most one run is under way. Who calls while one runs shares the *next* one: a run that has
 * begun may already have looked past what the caller wants to see.
 */
export function createCoalesced<T>(load: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined

  function start(): Promise<T> {
    running = load().finally(() => {
      running = undefined
    })
    return running
  }

  async function afterThis(current: Promise<T>): Promise<T> {
    await current.catch(() => undefined)
    next = undefined
    return start()
  }

  return function run(): Promise<T> {
    if (next) return next
    if (!running) return start()
    next = afterThis(running)
    return next
  }
}

/** One load at a time for each key: who asks for a key that is being loaded shares that load. */
export function createShared<T>(): (key: string, load: () => Promise<T>) => Promise<T> {
  const loads = new Map<string, Promise<T>>()
  return function share(key, load) {
    const known = loads.get(key)
    if (known) return known
    const started = load().finally(() => loads.delete(key))
    loads.set(key, started)
    return started
  }
}
