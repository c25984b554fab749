/**
 * Makes a loop wait for a notification. No notification is lost: after a call of `notify`, the next `wait`
 * returns at once.
 */
export interface Wakeup {
  notify(): void
  /** Waits for `notify`, at most `ms` milliseconds. Also returns when `signal` aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>
}

export function createWakeup(): Wakeup {
  let notified = false
  let wake: (() => void) | undefined
  return {
    notify() {
      notified = true
      wake?.()
    },
    async wait(ms, signal) {
      if (!notified && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(done, ms)
          function done(): void {
            clearTimeout(timer)
            signal.removeEventListener('abort', done)
            wake = undefined
            resolve()
          }
          wake = done
          signal.addEventListener('abort', done)
        })
      }
      notified = false
    },
  }
}
