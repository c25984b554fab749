/**
 * Server in the benchmarks: the agent's relay and HTTP server, with an event history in memory instead of
 * PostgreSQL.
 */
import { setFlagsFromString } from 'node:v8'
import { createAdmission } from '../../../src/http/admission.ts'
import { eventRoutes } from '../../../src/http/routes/event.ts'
import { createServer } from '../../../src/http/server.ts'
import { createRelay } from '../../../src/relay/relay.ts'
import { printReady, startHistory } from './history.ts'

// Sets the same limit on V8's memory for new objects as src/main/relay.ts, so that results are comparable.
setFlagsFromString('--semi-space-growth-factor=1')
const silent = { debug() {}, info() {}, warn() {}, error() {} }
let queries = 0
const history = await startHistory(() => relay.notified())
const counted = async <T>(answer: T): Promise<T> => {
  queries += 1
  return answer
}
const relay = createRelay({
  log: silent,
  source: {
    head: () => counted({ epoch: 'e', seq: history.head(), prunedTo: 0 }),
    streamAfter: (seq, limit) =>
      counted(
        history
          .after(seq, limit)
          .map((row) => ({ epoch: 'e', seq: row.seq, pruned_to: 0, json: JSON.stringify(row) })),
      ),
    snapshot: () => counted({ epoch: 'e', seq: history.head(), apps: [] }),
  },
})
const server = createServer({
  listen: '127.0.0.1',
  port: 0,
  allowedHosts: [],
  routes: [
    ...eventRoutes(relay, createAdmission()),
    { path: '/queries', GET: () => ({ status: 200, headers: {}, body: String(queries) }) },
  ],
  log: silent,
})
const port = await server.listen()
relay.start()
relay.setListening(true)
printReady(port, history.port)
