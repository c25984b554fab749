/** Finds and kills processes that a test run has not stopped. */
import { readdir, readFile, readlink } from 'node:fs/promises'

/** Upper limit of the number of characters of a command line that are reported. */
const SHOWN = 160

/**
 * Returns the command line of process `pid` if the process belongs to `folder`, and null otherwise. The
 * working directory, the arguments and the environment of the process are checked.
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
 * Kills the processes that still run after a test run whose temporary directory was `folder`. Works only on
 * Linux.
 * @returns the command lines of the killed processes.
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
      // An error is ignored, because the process may end before the kill.
    }
  }
  return found
}
