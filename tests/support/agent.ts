import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface TestProcess {
  child: ChildProcess
  output(): string
  /**
   * Waits until the output matches the pattern, and returns the match.
   * @throws if the process ends first, or after `limitMs` ms.
   */
  waitFor(pattern: RegExp, limitMs?: number): Promise<RegExpExecArray>
  /**
   * Sends the signal and waits for the end of the process.
   * @returns the exit code, or null if a signal ended the process.
   */
  end(signal: NodeJS.Signals): Promise<number | null>
  /** Exit code of the process when it ends, or null if a signal ended it. */
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
  // The file that NODE_OPTIONS names may be readable only for its owner.
  const env = { ...(options.env ?? process.env), ...(options.uid === undefined ? {} : { NODE_OPTIONS: '' }) }
  const child = spawn(command, args, { ...options, env, stdio: ['ignore', 'pipe', 'pipe'] })
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
