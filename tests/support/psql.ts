/** Opens psql as `npm run psql` does, and types lines and Ctrl-C into it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/config.ts'
import { pollUntil } from '../../src/system/timeout.ts'
import { settings } from './npmstart.ts'

export interface Psql {
  type(line: string): Promise<string>
  /** Types a line that repeats, such as `\watch`, and presses Ctrl-C when the output matches `pattern`. */
  watch(line: string, pattern: RegExp): Promise<string>
  greeting: string
  close(): Promise<void>
}

const LIMIT_MS = 90_000

/** Returns the state of the process psql of a process group, as in /proc: `R` is running, `S` is sleeping. */
async function stateOfPsql(pgid: number): Promise<string | undefined> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')))
  const fields = stats.map((stat) => /^\d+ \(psql\) (\S) \d+ (\d+) /.exec(stat))
  return fields.find((found) => Number(found?.[2]) === pgid)?.[1]
}

export async function openPsql(url: string): Promise<Psql> {
  // `detached` creates a process group, so that Ctrl-C can be sent to psql and its parent, as in a terminal.
  // Stdout and stderr are one pipe, because the order of lines would be lost with two.
  const command = ['-c', 'exec "$0" "$@" 2>&1', process.execPath, join(ROOT, 'src/main/psql.ts')]
  const child = spawn('sh', command, {
    env: settings({ DATABASE_URL: url }),
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  const closed = new AbortController()
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  void ended.then(() => closed.abort())
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
    child.emit('output')
  })

  async function until(pattern: RegExp): Promise<RegExpExecArray> {
    const limit = AbortSignal.any([AbortSignal.timeout(LIMIT_MS), closed.signal])
    for (;;) {
      const found = pattern.exec(output)
      if (found) return found
      await once(child, 'output', { signal: limit }).catch(() => {
        const reason = closed.signal.aborted ? 'has ended' : `does not print it within ${LIMIT_MS / 1000} s`
        throw new Error(`waited for ${pattern}, but psql ${reason}:\n${output}`)
      })
    }
  }

  let lines = 0
  async function take(): Promise<string> {
    const mark = `--- end of ${++lines} ---`
    child.stdin.write(`\\echo '${mark}'\n`)
    const { index } = await until(new RegExp(mark))
    const text = output.slice(0, index)
    output = output.slice(index + mark.length + 1)
    return text.trimEnd()
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
      // psql ends, instead of the repetition alone, if Ctrl-C arrives while it is printing a result.
      await pollUntil(async () => (await stateOfPsql(child.pid ?? 0)) === 'S', LIMIT_MS)
      process.kill(-(child.pid ?? 0), 'SIGINT')
      return take()
    },
    async close() {
      child.stdin.end('\\q\n')
      await ended
    },
  }
}
