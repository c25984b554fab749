/**
 * Returns the time in ms of a clock that is the same for all processes of the machine, and that does not jump
 * when the date is corrected. The clock begins anew when the machine boots.
 */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)
