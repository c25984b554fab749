/** Reads files that can be replaced by anything: a pipe, a device, a file without end. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

/**
 * Reads a whole regular file of at most `maxBytes`. A pipe or device is refused without waiting for it.
 * @throws Error with the reason why the file can't be read.
 */
export async function readRegularFile(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!(await file.stat()).isFile()) throw new Error('is not a regular file')
    const buffer = Buffer.alloc(maxBytes + 1)
    let size = 0
    while (size <= maxBytes) {
      const { bytesRead } = await file.read(buffer, size, buffer.length - size)
      if (bytesRead === 0) return buffer.subarray(0, size)
      size += bytesRead
    }
    throw new Error(`is larger than ${maxBytes} bytes`)
  } finally {
    await file.close()
  }
}
