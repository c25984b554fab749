/** Starts a program for a test, waits for lines of its output, and stops it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface TestProcess {
  child: ChildProcess
  /** Returns the output so far, stdout and stderr together. */
  output(): string
  /**
   * Resolves with the match as soon as the output contains the pattern.
   * @throws if the process ends first, or after the limit in milliseconds.
   */
  waitFor(pattern: RegExp, limitMs?: number): Promise<RegExpExecArray>
  /** Sends the signal and waits until the process ends. @returns its exit code, null after a signal. */
  end(signal: NodeJS.Signals): Promise<number | null>
  /** Resolves with the exit code when the process has ended, null after a signal. */
  ended: Promise<number | null>
}

const OUTPUT_LIMIT_MS = 60_000

export interface ProcessOptions {
  env?: NodeJS.ProcessEnv
  cwd?: string
  uid?: number
  gid?: number
}

export function startProcess(command: string, args: string[], options: ProcessOptions = {}): TestProcess {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const ended = once(child, 'close').then(([code]) => code as number | null)
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
      child.emit('output')
    })
  }
  return {
    child,
    ended,
    output: () => output,
    waitFor: (pattern, limitMs = OUTPUT_LIMIT_MS) => waitForOutput(child, () => output, pattern, limitMs),
    end(signal) {
      child.kill(signal)
      return ended
    },
  }
}

function waitForOutput(child: ChildProcess, output: () => string, pattern: RegExp, limitMs: number) {
  return new Promise<RegExpExecArray>((resolve, reject) => {
    const fail = (what: string) =>
      reject(new Error(`the process ${what} and did not print ${pattern}; its output:\n${output()}`))
    const timer = setTimeout(fail, limitMs, `ran ${limitMs / 1000} s`)
    const check = () => {
      const match = pattern.exec(output())
      if (!match) return
      clearTimeout(timer)
      child.off('output', check)
      resolve(match)
    }
    child.on('output', check)
    child.once('close', () => {
      clearTimeout(timer)
      fail('ended')
    })
    check()
  })
}
