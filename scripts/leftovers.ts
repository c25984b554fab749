/** Finds and kills processes that the tests have left running. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'

const SHOWN = 160

/**
 * Returns the command line of a process if its working directory, arguments or environment contain the name
 * of `folder`.
 */
async function commandIfIn(folder: string, pid: string): Promise<string | null> {
  const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
  const [command, environment, directory] = await Promise.all([
    read('cmdline'),
    read('environ'),
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
  ])
  if (!command || ![command, environment, directory].some((text) => text.includes(basename(folder))))
    return null
  return command.replaceAll('\0', ' ').slice(0, SHOWN)
}

/**
 * Kills all processes that use the tests' temporary directory `folder`. Works only on Linux.
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
      // The process may have ended by itself since it was found.
    }
  }
  return found
}
