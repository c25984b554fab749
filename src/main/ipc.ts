/**
 * Sends messages from the relay and the orchestrator to their parent process, `npm start`. Without a parent
 * process (`npm run relay`) the functions send nothing.
 */

/**
 * Message of a child to its parent process, sent once. `failed` reports a failure that a restart would not
 * fix.
 */
export type ChildMessage = { type: 'ready' } | { type: 'failed'; code: string; message: string }

const send = (message: ChildMessage) => process.send?.(message)

export const sendReady = () => void send({ type: 'ready' })

/**
 * Reports to the parent process a failure that a restart would not fix, such as a port used by another
 * program.
 */
export const sendFailed = (code: string, message: string) => void send({ type: 'failed', code, message })

/**
 * Calls `stop` once, on SIGTERM, on Ctrl-C, or when the parent process ends. Exits the process after `stop`,
 * or after `limitMs` milliseconds. The end of the parent is detected by the closed IPC channel, also after
 * kill -9.
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
