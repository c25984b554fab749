/** Finds and ends processes that a test run has left behind. */
import { readdir, readFile, readlink } from 'node:fs/promises'

/** Length of a command line in a report. Characters. */
const SHOWN = 160

/**
 * Returns the command line of a process that works in `folder` or names it in its arguments or environment.
 */
async function commandIfIn(folder: string, pid: string): Promise<string | null> {
  const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
  const [command, environment, directory] = await Promise.all([
    read('cmdline'),
    read('environ'),
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
  ])
  if (!command || ![command, environment, directory].some((text) => text.includes(folder))) return null
  return command.replaceAll('\0', ' ').slice(0, SHOWN)
}

/**
 * Kills what is left of a run whose temporary directory was `folder`. @returns their command lines. Linux
 * only.
 */
export async function endLeftovers(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const found: string[] = []
  for (const pid of pids.filter((each) => Number(each) !== process.pid)) {
    const command = await commandIfIn(folder, pid)
    if (command === null) continue
    found.push(`${pid} ${command}`)
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // The process has ended meanwhile.
    }
  }
  return found
}
