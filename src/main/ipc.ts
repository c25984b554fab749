/**
 * Sends messages from the relay or the orchestrator to the parent process `npm start`. Without a parent
 * process, for example after `npm run relay`, no message is sent.
 */

/**
 * First message of the relay or the orchestrator to its parent process. `failed` means that the process could
 * not start.
 */
export type ChildMessage =
  | { type: 'ready'; code?: never; message?: never }
  | { type: 'failed'; code: string; message: string }

const send = (message: ChildMessage) => process.send?.(message)

export const sendReady = () => void send({ type: 'ready' })

/** Reports to the parent process why this process could not start, for example because its port is in use. */
export const sendFailed = (code: string, message: string) => void send({ type: 'failed', code, message })

/**
 * Calls `stop` after SIGTERM, after Ctrl-C, or when the parent process has ended. A parent that ends closes
 * the IPC channel, even after kill -9. Then exits the process, at the latest after `limitMs` milliseconds.
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
