/** Which system is on. Two things say so, and they differ after an activation that failed, and before a restart. */
import { readdir, readlink, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface SystemLinks {
  /** What the machine starts next time: /nix/var/nix/profiles/system */
  profile: string
  /** What it runs: /run/current-system */
  current: string
}

/** Of the hash in the name of a store path, enough to tell two systems apart. */
const HASH_CHARACTERS = 12

/**
 * E.g. "42 (0a1b2c3d4e5f)", or "43 (f5e4d3c2b1a0), running 0a1b2c3d4e5f" when the profile was set but what runs is
 * another one. It changes when either does; null on a machine that has neither.
 */
export async function readGeneration({ profile, current }: SystemLinks): Promise<string | null> {
  const [link, set, runs] = await Promise.all([readName(profile), readSystem(profile), readSystem(current)])
  if (link === null || set === null) return runs && `running ${runs}`
  const number = /^system-(\d+)-link$/.exec(link)?.[1] ?? link
  return `${number} (${set})${runs === null || runs === set ? '' : `, running ${runs}`}`
}

/**
 * Why "nixos-rebuild switch --rollback" would not lead to this generation, as a sentence; null if it would. It goes to the
 * number before the current one, whichever that is by now.
 */
export async function whyNotBefore({ profile }: SystemLinks, generation: string): Promise<string | null> {
  const [, number, system] = /^(\d+) \(([^)]+)\)$/.exec(generation) ?? []
  if (!number) return `generation ${generation} was never wholly on`
  const current = numberOf((await readName(profile)) ?? '')
  const numbers = (await readdir(dirname(profile))).map(numberOf).filter((one) => one < current)
  const before = Math.max(0, ...numbers)
  if (!numbers.includes(Number(number))) return `generation ${generation} is not there any more`
  if (before !== Number(number)) {
    return `generation ${before} lies between ${generation} and what is on, and a rollback would lead to it; remove it with nix-env --delete-generations first`
  }
  const there = await readSystem(join(dirname(profile), `system-${number}-link`))
  return there === system ? null : `generation ${number} is another system by now (${there})`
}

/** 0 for what is no generation of the system. */
const numberOf = (link: string): number => Number(/^system-(\d+)-link$/.exec(link)?.[1] ?? 0)

const ifThere = (reading: Promise<string>) =>
  reading.then(
    (path) => basename(path),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EINVAL') return null
      throw error
    },
  )

const readName = (path: string) => ifThere(readlink(path))

async function readSystem(path: string): Promise<string | null> {
  const name = await ifThere(realpath(path))
  return name && (/^[0-9a-z]{32}-/.test(name) ? name.slice(0, HASH_CHARACTERS) : name)
}
