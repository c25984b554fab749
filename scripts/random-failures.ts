/**
 * Longer variant of the test tests/stories/random-failures.test.ts:
 *
 *   node scripts/random-failures.ts [--rounds=100] [--seed=1]
 *
 * Prints how often each process was killed. Exits with 1 if a rebuild (one change of the machine for several
 * operations) has a wrong result, and prints in which round.
 */
import { startFailingMachine } from '../tests/support/random-failures.ts'
import { option } from './option.ts'

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
