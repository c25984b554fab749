/**
 * Program that runs `nixos-rebuild switch` for the agent, and continues if the agent ends.
 *
 *   node rebuild.ts --state <data>/nixos --profile <link> --current <link> [--run <id>] [--rollback]
 *     [--] <command> …
 *
 * The option --run is the id of this run of `nixos-rebuild`. By default, the id is read from the request file
 * that made systemd start this program, because the arguments in a systemd unit are fixed.
 *
 * The output of the command goes to `log` and its exit code to `exit` in the directory of this run. The
 * program creates the file `activated` there when the activation has begun. If the file `stop` appears there
 * earlier, the program stops the command.
 *
 * The agent could replace one of these files by a link to a file of root. A program started as root therefore
 * drops its privileges before it opens a file, and only the command runs as root.
 */
import { existsSync, statSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { readIfExists, writeAtomic } from '../../system/atomicfile.ts'
import { beginRun } from '../rundirectory.ts'
import { superviseCommand } from './command.ts'
import { readGeneration, type SystemLinks } from './generation.ts'
import { type NixosPaths, nixosPaths, RUN_ID, type RunPaths, runPaths } from './paths.ts'

/**
 * Time in ms to wait for the file lock that this program holds while it runs. The agent checks whether the
 * program runs by taking the lock for a moment.
 */
const LOCK_LIMIT_MS = 5_000

interface Arguments {
  paths: NixosPaths
  links: SystemLinks
  id: string | undefined
  command: [string, ...string[]]
}

function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      state: { type: 'string' },
      profile: { type: 'string' },
      current: { type: 'string' },
      run: { type: 'string' },
      rollback: { type: 'boolean', default: false },
    },
  })
  const { state, profile, current, run, rollback } = values
  const [program, ...rest] = positionals
  if (!state || !profile || !current || !program) {
    throw new Error('--state, --profile, --current and a command are required')
  }
  const paths = nixosPaths(state)
  if (rollback) paths.request = paths.rollback
  return { paths, links: { profile, current }, id: run, command: [program, ...rest] }
}

/**
 * Drops root privileges: changes to the user that owns the state directory.
 * @returns true if the program was started as root.
 */
function becomeOwner(state: string): boolean {
  if (process.geteuid?.() !== 0) return false
  const { uid, gid } = statSync(state)
  process.setgroups?.([gid])
  process.setegid?.(gid)
  process.seteuid?.(uid)
  return true
}

/**
 * Returns the id in the request file. Returns null if there is no request file.
 * @throws if the file contains no valid id.
 */
async function requestedRun(paths: NixosPaths): Promise<string | null> {
  const id = (await readIfExists(paths.request))?.trim() ?? null
  if (id === null || RUN_ID.test(id)) return id
  // Without the deletion, systemd would start this program again and again.
  await rm(paths.request, { force: true })
  throw new Error('the request file contains no run id')
}

async function begin(paths: NixosPaths, run: RunPaths, id: string): Promise<boolean> {
  const begun = await beginRun(run, LOCK_LIMIT_MS)
  if ((await readIfExists(paths.request))?.trim() === id) await rm(paths.request, { force: true })
  return begun
}

async function main(): Promise<number> {
  const { paths, links, id: given, command } = readArguments()
  const asRoot = becomeOwner(paths.state)
  process.umask(0o077)
  const id = given ?? (await requestedRun(paths))
  if (id === null) return 0
  const run = runPaths(paths, id)
  if (!existsSync(run.dir)) {
    await rm(paths.request, { force: true })
    throw new Error(`run ${id} does not exist`)
  }
  if (!(await begin(paths, run, id))) return 0
  const log = await open(run.log, 'a', 0o640)
  const before = await readGeneration(links)
  const code = await superviseCommand(command, {
    output: log.fd,
    asRoot,
    hasActivated: async () => (await readGeneration(links)) !== before,
    onActivated: () => writeAtomic(run.activated, ''),
    mustStop: () => existsSync(run.stop),
    writeLine: (line) => void log.write(`${line}\n`),
  })
  await log.close()
  await writeAtomic(run.exit, String(code))
  return code
}

process.exitCode = await main().catch((error: Error) => {
  console.error(`error: ${error.message}`)
  return 1
})
