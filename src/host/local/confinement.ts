/**
 * Runs a command as another user who may not enter a folder above the data directory, for example /root.
 *
 * The command then gets a mount namespace of its own (`unshare`), in which the private folder is replaced by
 * an empty one with the needed folders at their usual paths. The rest of the private folder stays out of
 * reach. Works only on Linux, and needs the rights to mount.
 */
import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { mayEnter, type SystemUser } from '../../system/systemuser.ts'

/** First descriptor of the script for the needed folders. The descriptors 0 to 2 are input and output. */
const FIRST_DESCRIPTOR = 3
/** `sh` opens descriptors up to 9 only. */
const MAX_FOLDERS = 7

/** User that runs npm and the apps, and the folders and files that they need. */
export interface Confinement extends SystemUser {
  needed: string[]
}

export interface UserOptions {
  cwd: string
  uid?: number
  gid?: number
}

/**
 * Returns program, arguments and options that run the command as the user of the confinement.
 * @param confinement null for the user of this process.
 * @param more further folders or files that the command needs.
 */
export function asUser(
  confinement: Confinement | null,
  command: string[],
  cwd: string,
  more: string[] = [],
): [string, string[], UserOptions] {
  const [program = '', ...args] = command
  if (!confinement) return [program, args, { cwd }]
  const { needed, ...user } = confinement
  const hidden = [...needed, ...more].filter(existsSync).flatMap((path) => {
    const top = privateAbove(path, user)
    return top === null ? [] : [{ path, top }]
  })
  if (hidden.length === 0) return [program, args, { cwd, uid: user.uid, gid: user.gid }]
  const shell = ['/bin/sh', '-c', script(user, hidden.slice(0, MAX_FOLDERS)), 'sh', cwd, ...command]
  return ['unshare', ['--mount', '--propagation', 'private', '--', ...shell], { cwd: '/' }]
}

/** Returns the topmost folder above `path` that the user may not enter, or null. */
function privateAbove(path: string, user: SystemUser): string | null {
  const above: string[] = []
  for (let dir = dirname(path); ; dir = dirname(dir)) {
    above.unshift(dir)
    if (dir === dirname(dir)) break
  }
  return above.find((dir) => !mayEnter(statSync(dir), user)) ?? null
}

function script(user: SystemUser, hidden: { path: string; top: string }[]): string {
  const tops = [...new Set(hidden.map(({ top }) => top))]
  const kept = hidden.filter(
    ({ path }, index) =>
      !hidden.some((other, at) => isBelow(path, other.path) && (path !== other.path || at < index)),
  )
  const lines = [
    'set -e; umask 022',
    // The folders are opened before they are covered.
    ...kept.map(({ path }, index) => `exec ${FIRST_DESCRIPTOR + index}< ${quote(path)}`),
    ...tops.map((top) => `mount -t tmpfs -o mode=0755,size=1m bloud ${quote(top)}`),
    ...kept.map(({ path }, index) => bind(path, FIRST_DESCRIPTOR + index)),
    'cd "$1"; shift',
    `exec setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups -- "$@"`,
  ]
  return lines.join('\n')
}

const isBelow = (path: string, other: string) => `${path}/`.startsWith(`${other}/`)

function bind(path: string, descriptor: number): string {
  const make = statSync(path).isDirectory()
    ? `mkdir -p ${quote(path)}`
    : `mkdir -p ${quote(dirname(path))}; : > ${quote(path)}`
  // Without --no-canonicalize, mount would replace the descriptor by the covered path.
  return `${make}; mount --no-canonicalize --rbind /proc/self/fd/${descriptor} ${quote(path)}; exec ${descriptor}<&-`
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
