/**
 * `<data>/logs/postgresql.log`. The server appends to it and outlives the agent, so it can't be made to open
 * another file: a full log is copied aside and emptied.
 */
import * as fs from 'node:fs/promises'
import { dirname, join } from 'node:path'

const LOG_LIMIT_BYTES = 10 * 1024 * 1024
const LOOK_EVERY_MS = 60_000
const TAIL_BYTES = 4096
const TAIL_LINES = 12

export interface ServerLog {
  path: string
  /** Where the log ends now. */
  size(): Promise<number>
  /** Its last lines, none from before the given position. */
  tail(from: number): Promise<string>
  /** Keeps its size within bounds from now on. */
  startCap(): void
  stopCap(): void
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

  async function cap(): Promise<void> {
    if ((await size()) <= LOG_LIMIT_BYTES) return
    await fs.copyFile(path, `${path}.1`)
    await fs.truncate(path)
  }

  function startCap(): void {
    stopCap()
    const look = () => void cap().catch(() => {})
    look()
    timer = setInterval(look, LOOK_EVERY_MS).unref()
  }

  function stopCap(): void {
    clearInterval(timer)
  }

  return { path, size, tail, startCap, stopCap }
}

export async function openServerLog({ path }: ServerLog): Promise<fs.FileHandle> {
  await fs.mkdir(dirname(path), { recursive: true })
  return fs.open(path, 'a', 0o600)
}
