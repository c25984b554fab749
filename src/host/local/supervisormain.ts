/**
 * Program of the supervisor (process that runs the apps). The agent starts the supervisor, which continues to
 * run when the agent is killed.
 *
 *   node src/host/local/supervisormain.ts --state <data>/host [--as '{"uid":…}']
 *
 * Exit codes: 0 stopped, or another supervisor runs already; 1 failed to start.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { createSupervisor } from './supervisor.ts'

const { values } = parseArgs({
  options: { state: { type: 'string' }, as: { type: 'string', default: 'null' } },
})
if (!values.state) throw new Error('--state <data>/host is missing')

const confinement = JSON.parse(values.as)
if (confinement) process.umask(0o077) // Files of the agent are not readable for apps.
const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`)
const supervisor = createSupervisor({ stateDir: resolve(values.state), confinement, log })

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    log(`${signal}: stopping all apps`)
    void supervisor.stop()
  })
}
if (await supervisor.start()) {
  log(`supervisor ${process.pid} started`)
  await supervisor.stopped
} else {
  log('another supervisor runs already')
}
