/**
 * Longer variant of the test tests/stories/random-failures.test.ts:
 *
 *   node scripts/random-failures.ts [--rounds=100] [--seed=1]
 *
 * Runs rebuilds while the orchestrator, the relay and PostgreSQL are killed at times derived from the seed.
 * Prints the number of kills of each process. Exits with 1 and prints the round if a result is wrong.
 */
import { startFailingMachine } from '../tests/support/random-failures.ts'
import { option } from './bench/kit.ts'

const [rounds, seed] = [option('rounds', 100), option('seed', 1)]
const machine = await startFailingMachine(seed)
try {
  console.log(JSON.stringify({ seed, ...(await machine.runRounds(rounds)) }))
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
} finally {
  await machine.stop()
}
process.exit()
