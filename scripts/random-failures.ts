/**
 * The long form of tests/stories/random-failures.test.ts: `node scripts/random-failures.ts [--rounds=100] [--seed=1]`. One machine whose rebuilds
 * kill the orchestrator, the relay and PostgreSQL at moments that the seed decides. Prints who was killed how often;
 * ends with 1, and says what the round was, if anything did not come out as it should.
 */
import { makeShaken } from '../tests/support/random-failures.ts'
import { option } from './bench/kit.ts'

const [rounds, seed] = [option('rounds', 100), option('seed', 1)]
const machine = await makeShaken(seed)
try {
  console.log(JSON.stringify({ seed, ...(await machine.shake(rounds)) }))
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
} finally {
  await machine.stop()
}
process.exit()
