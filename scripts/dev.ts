/** Command `npm run dev`: runs the agent as `npm start` does, and restarts it when a source file changes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { exitOf } from '../src/system/childprocess.ts'

const ROOT = join(import.meta.dirname, '..')
const FOLDERS = ['src', 'sql', 'public', 'nix/catalog']
/**
 * File changes within this time in ms cause only one restart, because an editor may write a file in several
 * steps.
 */
const JOIN_MS = 200

let child: ChildProcess | undefined
let changed = false
let stopping = false
let timer: NodeJS.Timeout | undefined

function restart(): void {
  changed = true
  child?.kill('SIGTERM')
}

for (const folder of FOLDERS) {
  watch(join(ROOT, folder), { recursive: true }, () => {
    clearTimeout(timer)
    timer = setTimeout(restart, JOIN_MS)
  })
}
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    stopping = true
    child?.kill(name)
  })
}

while (!stopping) {
  changed = false
  child = spawn(process.execPath, [join(ROOT, 'src/main/start.ts')], { cwd: ROOT, stdio: 'inherit' })
  await exitOf(child)
  if (!changed && !stopping) {
    console.log('  The agent has ended; waiting for a change …')
    await new Promise<void>((resolve) => {
      const poll = setInterval(() => {
        if (!changed && !stopping) return
        clearInterval(poll)
        resolve()
      }, JOIN_MS)
    })
  }
}
process.exit()
