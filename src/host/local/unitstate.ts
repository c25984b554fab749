/** Reads what the supervisor (process that runs the apps) does for an app, and who listens on its port. */
import { resolve } from 'node:path'
import { APP_NAME } from '../../domain/catalog.ts'
import { own } from '../../domain/record.ts'
import { isLocked } from '../../system/filelock.ts'
import { monotonicMs } from '../../system/monotonic.ts'
import { portOwner } from '../../system/portowner.ts'
import { readMark } from '../../system/processgroup.ts'
import type { PortOwner, UnitState, WantedApp } from '../contract.ts'
import { appDataDir, type Paths } from './paths.ts'
import { supervisorState } from './statefiles.ts'

/** Returns the name. @throws if it can't be the name of an app, and so not part of a path. */
export function checkName(name: string): string {
  if (!APP_NAME.test(name)) throw new Error(`"${name}" is not an app name`)
  return name
}

/** Returns the state of an app, as the supervisor has recorded it. */
export async function unitState(paths: Paths, name: string): Promise<UnitState> {
  const state = isLocked(paths.supervisorLock) ? await supervisorState(paths) : null
  const unit = own(state?.apps ?? {}, name)
  const none = { exitCode: null, restarts: 0, series: null, startedMsAgo: null }
  if (!unit) return { state: state && state.generation !== null ? 'stopped' : 'unknown', ...none }
  const { exitCode, restarts, startedAt, resets } = unit
  const startedMsAgo = startedAt === undefined ? null : monotonicMs() - startedAt
  const series = startedAt === undefined ? null : `${state?.pid}-${startedAt}${resets ? `-${resets}` : ''}`
  return { state: unit.state, exitCode, restarts, series, startedMsAgo }
}

/** Returns who listens on the port of an app: the processes that the supervisor started for it, or others. */
export async function ownerOfPort(
  paths: Paths,
  dataDir: string,
  { name, port }: Pick<WantedApp, 'name' | 'port'>,
): Promise<PortOwner> {
  const state = isLocked(paths.supervisorLock) ? await supervisorState(paths) : null
  const unit = own(state?.apps ?? {}, checkName(name))
  if (!unit) return { owner: 'unknown' }
  return portOwner(port, {
    ...(unit.pid !== null && { pgid: unit.pid }),
    marks: [`${await readMark(paths.mark)}/unit/${name}`],
    directory: resolve(appDataDir(dataDir, name)),
  })
}
