/** Finds and kills processes that a test run has not stopped. */
import { readdir, readFile, readlink } from 'node:fs/promises'

/** Number of characters after which a reported command line is cut off. */
const SHOWN = 160

/**
 * Returns the command line of process `pid` if its working directory, arguments or environment name `folder`.
 * Returns null otherwise.
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
 * Kills the processes that a test run with the temporary directory `folder` has left running. Works only on
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
      // The error is ignored, because the process may have ended before the kill.
    }
  }
  return found
}
