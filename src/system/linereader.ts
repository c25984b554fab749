/** Splits the output of programs into lines that PostgreSQL can store and a browser can show. */
import { terminalText } from '../domain/text.ts'

/** Upper limit of a line in bytes. Longer lines are split. */
export const MAX_LINE_BYTES = 8 * 1024
const NEWLINE = 10

/**
 * Returns the complete lines at the start of `bytes`, and the number of bytes in these lines. With `final`,
 * text after the last newline is also a line.
 */
export function splitLines(bytes: Buffer, final: boolean): { lines: string[]; used: number } {
  const lines: string[] = []
  let used = 0
  for (;;) {
    const end = bytes.indexOf(NEWLINE, used)
    const length = (end < 0 ? bytes.length : end) - used
    if (length > MAX_LINE_BYTES) {
      const cut = cutBefore(bytes, used, used + MAX_LINE_BYTES)
      lines.push(terminalText(bytes.toString('utf8', used, cut)))
      used = cut
    } else if (end >= 0) {
      lines.push(terminalText(bytes.toString('utf8', used, end)))
      used = end + 1
    } else {
      if (final && length > 0) {
        lines.push(terminalText(bytes.toString('utf8', used)))
        used = bytes.length
      }
      return { lines, used }
    }
  }
}

/** Returns the last position, at most `at`, that is not inside a UTF-8 character. */
function cutBefore(bytes: Buffer, from: number, at: number): number {
  const continues = (index: number) => ((bytes[index] ?? 0) & 0xc0) === 0x80
  for (let cut = at; cut > from && cut > at - 4; cut--) if (!continues(cut)) return cut
  return at
}

export function createLineReader(onLine: (line: string) => void) {
  let rest = Buffer.alloc(0)
  const read = (chunk: Buffer, final: boolean) => {
    const bytes = Buffer.concat([rest, chunk])
    const { lines, used } = splitLines(bytes, final)
    rest = Buffer.from(bytes.subarray(used))
    lines.forEach(onLine)
  }
  return {
    push: (chunk: Buffer) => read(chunk, false),
    end: () => read(Buffer.alloc(0), true),
  }
}
