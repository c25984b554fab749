/**
 * Sends messages from the relay and the orchestrator to their parent process `npm start`. Sends nothing if
 * there is no parent process (`npm run relay`).
 */

/**
 * First message of a child to its parent process. `failed` reports a failure that a restart would not fix.
 */
export type ChildMessage = { type: 'ready' } | { type: 'failed'; code: string; message: string }

const send = (message: ChildMessage) => process.send?.(message)

export const sendReady = () => void send({ type: 'ready' })

/** Reports a failure that a restart would not fix to the parent process, for example a used port. */
export const sendFailed = (code: string, message: string) => void send({ type: 'failed', code, message })

/**
 * Calls `stop` on SIGTERM, on Ctrl-C, or when the parent process ends, which closes the IPC channel even
 * after kill -9. Then exits the process, at the latest after `limitMs` milliseconds.
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
