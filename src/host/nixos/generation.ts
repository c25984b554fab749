/**
 * Reads the system generation of the next boot (system profile) and the running system. The two can differ,
 * for example after a failed activation.
 */
import { readdir, readlink, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface SystemLinks {
  /** Link to the system of the next boot: /nix/var/nix/profiles/system */
  profile: string
  /** Link to the running system: /run/current-system */
  current: string
}

/** Number of characters of a store path's hash that are used to identify a system. */
const HASH_CHARACTERS = 12

/**
 * Returns the current system generation as text, for example "42 (0a1b2c3d4e5f)". If a different system runs,
 * the text names it: "43 (f5e4d3c2b1a0), running 0a1b2c3d4e5f". Returns null if a link is missing.
 */
export async function readGeneration({ profile, current }: SystemLinks): Promise<string | null> {
  const [link, set, runs] = await Promise.all([readName(profile), readSystem(profile), readSystem(current)])
  if (link === null || set === null) return runs && `running ${runs}`
  const number = /^system-(\d+)-link$/.exec(link)?.[1] ?? link
  return `${number} (${set})${runs === null || runs === set ? '' : `, running ${runs}`}`
}

/**
 * Returns the reason why `nixos-rebuild switch --rollback` would not activate this generation, as a sentence,
 * or null. The command always activates the next lower existing generation.
 */
export async function rollbackObstacle({ profile }: SystemLinks, generation: string): Promise<string | null> {
  const [, number, system] = /^(\d+) \(([^)]+)\)$/.exec(generation) ?? []
  if (!number) return `generation ${generation} was never completely activated`
  const current = numberOf((await readName(profile)) ?? '')
  const numbers = (await readdir(dirname(profile))).map(numberOf).filter((other) => other < current)
  const before = Math.max(0, ...numbers)
  if (!numbers.includes(Number(number))) return `generation ${generation} no longer exists`
  if (before !== Number(number)) {
    return (
      `generation ${before} lies between ${generation} and the current one, so a rollback would activate ` +
      `${before}; remove it with nix-env --delete-generations first`
    )
  }
  const actual = await readSystem(join(dirname(profile), `system-${number}-link`))
  return actual === system ? null : `generation ${number} is now a different system (${actual})`
}

/** Returns the number of a system generation from the name of its link, or 0 for any other name. */
const numberOf = (link: string): number => Number(/^system-(\d+)-link$/.exec(link)?.[1] ?? 0)

/** Returns the last component of a path. Returns null if the path is missing or is not a link. */
const baseIfExists = (path: Promise<string>) =>
  path.then(
    (path) => basename(path),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EINVAL') return null
      throw error
    },
  )

const readName = (path: string) => baseIfExists(readlink(path))

async function readSystem(path: string): Promise<string | null> {
  const name = await baseIfExists(realpath(path))
  return name && (/^[0-9a-z]{32}-/.test(name) ? name.slice(0, HASH_CHARACTERS) : name)
}
