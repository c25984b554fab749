/**
 * One run of the host's switch, as a program of its own that outlives the agent:
 *
 *   node rebuild.ts --state <data>/nixos --profile <link> --current <link> [--run <id>] [--rollback] [--] <command> …
 *
 * Without --run the id is read from the request file (with --rollback from the one for rollbacks): so systemd's root
 * oneshots start it, each always with the same arguments. It runs the command in a process group of its own, with the output in `<run>/log`; makes `<run>/activated`
 * when the system profile has changed; ends the command when `<run>/stop` appears before that; and leaves its exit code in
 * `<run>/exit`. Each run begins at most once.
 *
 * The state directory belongs to the agent. As root, this program looks after files with the rights of that owner only,
 * so that no link the agent could plant there makes root read or write anything; just the command runs as root.
 */
import { existsSync, statSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { claimFile, readIfExists, writeAtomic } from '../../system/atomicfile.ts'
import { acquireFileLock } from '../../system/filelock.ts'
import { superviseCommand } from './command.ts'
import { readGeneration, type SystemLinks } from './generation.ts'
import { type NixosPaths, nixosPaths, RUN_ID, type RunPaths, runPaths } from './paths.ts'

/** Whoever asked whether this run lives holds its lock for a moment. */
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
    throw new Error('--state, --profile, --current and a command are needed')
  }
  const paths = nixosPaths(state)
  if (rollback) paths.request = paths.rollback
  return { paths, links: { profile, current }, id: run, command: [program, ...rest] }
}

/** As root: from here on, files are only what the owner of the state directory may read and write. */
function becomeOwner(state: string): boolean {
  if (process.geteuid?.() !== 0) return false
  const { uid, gid } = statSync(state)
  process.setgroups?.([gid])
  process.setegid?.(gid)
  process.seteuid?.(uid)
  return true
}

async function requestedRun(paths: NixosPaths): Promise<string | null> {
  const id = (await readIfExists(paths.request))?.trim() ?? null
  if (id === null || RUN_ID.test(id)) return id
  // As long as it is there, systemd starts us again.
  await rm(paths.request, { force: true })
  throw new Error('the request file holds no run id')
}

/** First the lock, then the claim: whoever finds the claim but no lock knows that the run is over. */
async function begin(paths: NixosPaths, run: RunPaths, id: string): Promise<boolean> {
  const begun = (await acquireFileLock(run.lock, LOCK_LIMIT_MS)) !== null && (await claimFile(run.claim, 'started'))
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
    throw new Error(`there is no run ${id}`)
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
    say: (line) => void log.write(`${line}\n`),
  })
  await log.close()
  await writeAtomic(run.exit, String(code))
  return code
}

process.exitCode = await main().catch((error: Error) => {
  console.error(`error: ${error.message}`)
  return 1
})
