/** Combines simultaneous reads of the same data into one read. */

/**
 * Returns a function that calls `load`, but never twice at the same time. Calls during an unfinished `load`
 * share the next `load`, because the unfinished one may have begun before the newest change.
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

  async function startAfter(current: Promise<T>): Promise<T> {
    await current.catch(() => undefined)
    next = undefined
    return start()
  }

  return function run(): Promise<T> {
    if (next) return next
    if (!running) return start()
    next = startAfter(running)
    return next
  }
}

/**
 * Returns a function that calls `load`, but for each key never twice at the same time. Further calls with the
 * same key share the result of the unfinished call.
 */
export function createShared<T>(): (key: string, load: () => Promise<T>) => Promise<T> {
  const loads = new Map<string, Promise<T>>()
  return function share(key, load) {
    const running = loads.get(key)
    if (running) return running
    const started = load().finally(() => loads.delete(key))
    loads.set(key, started)
    return started
  }
}
