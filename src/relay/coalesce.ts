/** Combines simultaneous reads of the same data into one read. */

/**
 * Returns a function that runs `load`, with at most one run at a time. Calls during a run share the next run,
 * because the current run may have started before the newest change.
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
 * Returns a function that runs `load`, with at most one run per key at a time. Calls with the key of a
 * current run share the result of that run.
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
