/** The whole agent as a person starts it, in a data directory of the test. */
import { join } from 'node:path'
import { ROOT } from '../../src/config.ts'
import { type Agent, startAgent } from './agent.ts'

export interface WholeAgent extends Agent {
  address: string
  /** Resolves when the page's address has been printed. */
  up(): Promise<unknown>
}

/** Our environment without our settings, and the given ones. */
export function settings(given: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(BLOUD_|PG|DATABASE_URL$|NODE_TEST)/.test(name),
  )
  return { ...Object.fromEntries(kept), ...given }
}

/** Starts src/main/start.ts, which is all that `npm start` does once everything is installed. */
export function startWhole(dataDir: string, port: number, more: Record<string, string> = {}): WholeAgent {
  const env = settings({ BLOUD_DATA_DIR: dataDir, BLOUD_PORT: String(port), ...more })
  const agent = startAgent(process.execPath, [join(ROOT, 'src/main/start.ts')], { env, cwd: ROOT })
  return { ...agent, address: `http://127.0.0.1:${port}`, up: () => agent.says(/Page +http/) }
}
