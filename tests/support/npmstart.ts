/** Starts the same program as `npm start`, with a data directory of the test. */
import { join } from 'node:path'
import { ROOT } from '../../src/config.ts'
import { NODE_FLAGS } from '../../src/system/nodeflags.ts'
import { startProcess, type TestProcess } from './agent.ts'

export interface WholeAgent extends TestProcess {
  address: string
  up(): Promise<unknown>
}

export function settings(given: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(BLOUD_|PG|DATABASE_URL$|NODE_TEST)/.test(name),
  )
  return { ...Object.fromEntries(kept), ...given }
}

export function startWholeAgent(
  dataDir: string,
  port: number,
  more: Record<string, string> = {},
): WholeAgent {
  const env = settings({ BLOUD_DATA_DIR: dataDir, BLOUD_PORT: String(port), ...more })
  const agent = startProcess(process.execPath, [...NODE_FLAGS, join(ROOT, 'src/main/start.ts')], {
    env,
    cwd: ROOT,
  })
  return { ...agent, address: `http://127.0.0.1:${port}`, up: () => agent.waitFor(/Page +http/) }
}
