/**
 * The child's side of `npm start`: messages from the relay and the orchestrator to their parent process. A
 * child started directly (`npm run relay`) has no parent; the messages then have no effect.
 */

/** Message that a child sends once to its parent: `ready`, or a failure that a restart would not fix. */
export type ChildMessage = { type: 'ready' } | { type: 'failed'; code: string; message: string }

const send = (message: ChildMessage) => process.send?.(message)

export const sendReady = () => void send({ type: 'ready' })

/** Reports a failure that a restart would not fix, such as a port used by another program. */
export const sendFailed = (code: string, message: string) => void send({ type: 'failed', code, message })

/**
 * Calls `stop` once: on SIGTERM, on Ctrl-C, or when the parent exits. The IPC channel closes even if the
 * parent is killed by kill -9. Exits the process after `stop`, or after `limitMs` milliseconds.
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
