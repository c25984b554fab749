/** Reads the TCP sockets of this machine from /proc/net/tcp and /proc/net/tcp6. Only on Linux. */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'

const FOLDER = '/proc/net'
const TABLES = ['tcp', 'tcp6']
const CHUNK_BYTES = 64 * 1024

/** TCP socket. The addresses are hexadecimal, without the port: 127.0.0.1 is `0100007F`. */
export interface SocketRow {
  local: string
  remote: string
  /** State of the connection as a number: `01` is established, `0A` is listening. */
  state: string
  uid: string
  /** `0` if no process has the socket: it is not accepted yet, or closed already. */
  inode: string
}

/**
 * Yields the sockets whose local port is `port`, in pieces. Of each of the two tables only the first
 * `maxBytes` are read. A missing table counts as empty, because tcp6 is missing on a machine without IPv6.
 * @throws ENOENT if both tables are missing, as on macOS.
 */
export async function* readSockets(
  port: number,
  maxBytes: number,
  folder = FOLDER,
): AsyncGenerator<SocketRow[]> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  let missing = 0
  for (const table of TABLES) {
    const file = await open(join(folder, table)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      missing += 1
      if (missing === TABLES.length) throw error
    })
    if (!file) continue
    try {
      yield* readRows(file, suffix, maxBytes)
    } finally {
      await file.close()
    }
  }
}

async function* readRows(file: FileHandle, suffix: string, maxBytes: number): AsyncGenerator<SocketRow[]> {
  const buffer = Buffer.alloc(CHUNK_BYTES)
  let rest = ''
  for (let size = 0; size < maxBytes; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, maxBytes - size))
    if (bytesRead === 0) break
    const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n')
    // The last line can be incomplete until the next chunk is read.
    rest = lines.pop() ?? ''
    yield lines.flatMap((line) => parseRow(line, suffix) ?? [])
    size += bytesRead
  }
}

function parseRow(line: string, suffix: string): SocketRow | null {
  const [, local = '', remote = '', state = '', , , , uid = '', , inode = ''] = line.trim().split(/\s+/)
  if (!local.endsWith(suffix)) return null
  return { local: local.slice(0, -suffix.length), remote: remote.slice(0, -suffix.length), state, uid, inode }
}
