/**
 * Reads which NixOS system starts at the next boot, and which system runs now. The two can differ, for
 * example after a failed activation.
 */
import { readdir, readlink, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface SystemLinks {
  /** Link to the system of the next boot: /nix/var/nix/profiles/system */
  profile: string
  /** Link to the running system: /run/current-system */
  current: string
}

/** Number of characters of a store path's hash that are enough to identify a system. */
const HASH_CHARACTERS = 12

/**
 * Returns the number and hash of the system of the next boot, for example "42 (0a1b2c3d4e5f)". If another
 * system is running, its hash is added: "43 (f5e4d3c2b1a0), running 0a1b2c3d4e5f". Returns null if both links
 * are missing.
 */
export async function readGeneration({ profile, current }: SystemLinks): Promise<string | null> {
  const [link, set, runs] = await Promise.all([readName(profile), readSystem(profile), readSystem(current)])
  if (link === null || set === null) return runs && `running ${runs}`
  const number = /^system-(\d+)-link$/.exec(link)?.[1] ?? link
  return `${number} (${set})${runs === null || runs === set ? '' : `, running ${runs}`}`
}

/**
 * Returns the reason why `nixos-rebuild switch --rollback` would not activate this generation, as a sentence,
 * or null. The command always activates the existing generation with the next lower number.
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

const numberOf = (link: string): number => Number(/^system-(\d+)-link$/.exec(link)?.[1] ?? 0)

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
