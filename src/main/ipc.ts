/**
 * The child's side of `npm start`: how the relay and the orchestrator talk to the process that started them.
 * Started by hand (`npm run relay`) there is no parent, and all of this does nothing.
 */

/** What a child tells its parent, once: that it works, or why it never will. */
export type ChildMessage = { type: 'ready' } | { type: 'failed'; code: string; message: string }

const send = (message: ChildMessage) => process.send?.(message)

export const sendReady = () => void send({ type: 'ready' })

/** For a failure that trying again would not cure, such as a port that somebody else has. */
export const sendFailed = (code: string, message: string) => void send({ type: 'failed', code, message })

/**
 * Calls `stop` once, on SIGTERM, on Ctrl-C, or when the parent is gone, even by kill -9: its channel closes then.
 * Ends the process after it, or after the limit.
 */
export function stopOnRequest(stop: () => Promise<void>, limitMs = 15_000): void {
  let stopping = false
  const once = () => {
    if (stopping) return
    stopping = true
    setTimeout(() => process.exit(1), limitMs).unref()
    stop().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  process.on('SIGTERM', once)
  process.on('SIGINT', once)
  process.on('disconnect', once)
}
