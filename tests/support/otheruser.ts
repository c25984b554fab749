/** Runs programs of this repository as another user, where that is possible. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from '../../src/config.ts'

/** User and group without a name and without rights: `nobody` of most systems. */
export const OTHER_USER = { uid: 65_534, gid: 65_534 }

function whyNotPossible(): string | false {
  if (process.getuid?.() !== 0) return 'becomes another user, which needs root'
  const args = ['-c', 'test -x "$0" && test -r "$1"', process.execPath, join(ROOT, 'src/main/start.ts')]
  return spawnSync('sh', args, OTHER_USER).status === 0 ? false : 'needs files that other users may read'
}

/** Option of tests that run the program as another user. */
export const asOtherUser = { skip: whyNotPossible() }
