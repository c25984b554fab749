/**
 * Reads and rotates the server log, `<data>/logs/postgresql.log`. A rotation copies and then truncates the
 * log, because the server keeps the file open and would still write to a renamed file.
 */
import * as fs from 'node:fs/promises'
import { dirname, join } from 'node:path'

const LOG_LIMIT_BYTES = 10 * 1024 * 1024
const CHECK_INTERVAL_MS = 60_000
const TAIL_BYTES = 4096
const TAIL_LINES = 12

export interface ServerLog {
  path: string
  size(): Promise<number>
  /** Returns the last lines of the log that were written after the byte offset `from`. */
  tail(from: number): Promise<string>
  /** Starts a timer that rotates the log when its size exceeds the limit. */
  startRotation(): void
  stopRotation(): void
}

export function createServerLog(dataDir: string): ServerLog {
  const path = join(dataDir, 'logs', 'postgresql.log')
  let timer: NodeJS.Timeout | undefined

  async function size(): Promise<number> {
    return (await fs.stat(path).catch(() => null))?.size ?? 0
  }

  async function tail(from: number): Promise<string> {
    const end = await size()
    const begin = Math.max(from > end ? 0 : from, end - TAIL_BYTES)
    const file = await fs.open(path)
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(TAIL_BYTES), 0, end - begin, begin)
      return buffer.toString('utf8', 0, bytesRead).trim().split('\n').slice(-TAIL_LINES).join('\n')
    } finally {
      await file.close()
    }
  }

  async function rotate(): Promise<void> {
    if ((await size()) <= LOG_LIMIT_BYTES) return
    await fs.copyFile(path, `${path}.1`)
    await fs.truncate(path)
  }

  function startRotation(): void {
    stopRotation()
    const check = () => void rotate().catch(() => {})
    check()
    timer = setInterval(check, CHECK_INTERVAL_MS).unref()
  }

  function stopRotation(): void {
    clearInterval(timer)
  }

  return { path, size, tail, startRotation, stopRotation }
}

export async function openServerLog({ path }: ServerLog): Promise<fs.FileHandle> {
  await fs.mkdir(dirname(path), { recursive: true })
  return fs.open(path, 'a', 0o600)
}
