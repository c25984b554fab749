import {
  checkEvents,
  checkState,
  endOfRange,
  type LastCheck,
  lastCheck,
  recordCheck,
  type Violation,
} from '../db/invariant.ts'
import type { Context } from './context.ts'

const CHECK_EVERY_MS = 10 * 60_000
/** Age in seconds of the last check of all events after which they are all checked again. */
const WHOLE_EVERY_SECONDS = 24 * 60 * 60
/**
 * Number of events that one query checks, in 0.2 to 2 s, and the pause in ms between two such queries, so
 * that a long history delays no other query.
 */
const RANGE_EVENTS = 20_000
const RANGE_PAUSE_MS = 1_000
/** Upper limit of the number of violations that are stored. The first ones show what is wrong. */
const MAX_VIOLATIONS = 100

interface Pass {
  after: number
  /** True if the pass checks all events, and not only those that no pass has checked. */
  whole: boolean
  found: Violation[]
}

function beginPass({ wholeAge, checkedTo, violations, head }: LastCheck): Pass {
  // After a violation all events are checked again, because it may be gone.
  const whole = wholeAge === null || wholeAge < 0 || wholeAge > WHOLE_EVERY_SECONDS || violations.length > 0
  return { after: whole ? 0 : Math.min(checkedTo, head), whole, found: [] }
}

/**
 * Creates a function that checks the consistency rules (invariants) of the tables: the state, and the events
 * in short ranges. Each call checks one range, and returns the ms until the next call. The result of a pass
 * is stored in the table invariant_check, and logged if it has violations.
 */
export function createInvariantCheck({ pool, attempt, log }: Context): () => Promise<number> {
  let pass: Pass | null = null
  let logged = ''

  async function end({ after, whole, found }: Pass): Promise<void> {
    const violations = [...(await checkState(pool)), ...found].slice(0, MAX_VIOLATIONS)
    await recordCheck(pool, attempt, after, violations, whole)
    const text = JSON.stringify(violations)
    if (text !== logged)
      for (const violation of violations) log.error(violation, 'an invariant does not hold')
    logged = text
  }

  return async function checkRange(): Promise<number> {
    pass ??= beginPass(await lastCheck(pool))
    const to = await endOfRange(pool, pass.after, RANGE_EVENTS)
    if (to !== null) {
      pass.found = [...pass.found, ...(await checkEvents(pool, pass.after, to))].slice(0, MAX_VIOLATIONS)
      pass.after = to
      return RANGE_PAUSE_MS
    }
    await end(pass)
    pass = null
    return CHECK_EVERY_MS
  }
}
