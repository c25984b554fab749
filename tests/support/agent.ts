/** Programs that a test starts, listens to, and ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Agent {
  child: ChildProcess
  /** What it wrote so far, both outputs. */
  output(): string
  /** Resolves with the match as soon as the output has it. @throws when it ends, or after the limit. */
  says(pattern: RegExp, limitMs?: number): Promise<RegExpExecArray>
  /** Signals it and waits for its end. @returns its exit code, null after a signal. */
  end(signal: NodeJS.Signals): Promise<number | null>
  /** Waits for its end. */
  ended: Promise<number | null>
}

const SAY_LIMIT_MS = 60_000

export interface AgentOptions {
  env?: NodeJS.ProcessEnv
  cwd?: string
  uid?: number
  gid?: number
}

export function startAgent(command: string, args: string[], options: AgentOptions = {}): Agent {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const ended = once(child, 'close').then(([code]) => code as number | null)
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
      child.emit('heard')
    })
  }
  return {
    child,
    ended,
    output: () => output,
    says: (pattern, limitMs = SAY_LIMIT_MS) => hear(child, () => output, pattern, limitMs),
    end(signal) {
      child.kill(signal)
      return ended
    },
  }
}

function hear(child: ChildProcess, output: () => string, pattern: RegExp, limitMs: number) {
  return new Promise<RegExpExecArray>((resolve, reject) => {
    const fail = (why: string) =>
      reject(new Error(`it ${why} without saying ${pattern}; it said:\n${output()}`))
    const timer = setTimeout(fail, limitMs, `ran ${limitMs / 1000} s`)
    const listen = () => {
      const match = pattern.exec(output())
      if (!match) return
      clearTimeout(timer)
      child.off('heard', listen)
      resolve(match)
    }
    child.on('heard', listen)
    child.once('close', () => {
      clearTimeout(timer)
      fail('ended')
    })
    listen()
  })
}
