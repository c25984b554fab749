/** A session in the real psql, as `npm run psql` opens it: typed line by line, with Ctrl-C. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT } from '../../src/config.ts'
import { settings } from './npmstart.ts'

export interface Psql {
  /** Types a line and gives what psql prints, errors included. */
  type(line: string): Promise<string>
  /** Types a line that goes on by itself; presses Ctrl-C as soon as it has printed `pattern`. */
  watch(line: string, pattern: RegExp): Promise<string>
  /** What it said when it opened. */
  greeting: string
  close(): Promise<void>
}

const LIMIT_MS = 90_000

/** @param url as a login that is, or may become, bloud_operator. */
export async function openPsql(url: string): Promise<Psql> {
  // A session of its own, as a terminal gives: Ctrl-C reaches the whole group. One pipe, so that the order is psql's.
  const command = ['-c', 'exec "$0" "$@" 2>&1', process.execPath, join(ROOT, 'src/main/psql.ts')]
  const child = spawn('sh', command, {
    env: settings({ DATABASE_URL: url }),
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
    child.emit('heard')
  })

  async function until(pattern: RegExp): Promise<RegExpExecArray> {
    const limit = AbortSignal.timeout(LIMIT_MS)
    for (;;) {
      const found = pattern.exec(output)
      if (found) return found
      await once(child, 'heard', { signal: limit }).catch(() => {
        throw new Error(`psql does not print ${pattern} within ${LIMIT_MS / 1000} s:\n${output}`)
      })
    }
  }

  let lines = 0
  /** Takes what was printed up to a mark, which psql prints when it has come that far. */
  async function take(): Promise<string> {
    const mark = `--- end of ${++lines} ---`
    child.stdin.write(`\\echo '${mark}'\n`)
    const { index } = await until(new RegExp(mark))
    const said = output.slice(0, index)
    output = output.slice(index + mark.length + 1)
    return said.trimEnd()
  }

  return {
    greeting: await take(),
    type(line) {
      child.stdin.write(`${line}\n`)
      return take()
    },
    async watch(line, pattern) {
      child.stdin.write(`${line}\n`)
      await until(pattern)
      process.kill(-(child.pid ?? 0), 'SIGINT')
      return take()
    },
    async close() {
      child.stdin.end('\\q\n')
      await ended
    },
  }
}
