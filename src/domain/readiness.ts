import { z } from 'zod'

/** Reason why the agent is not ready: a code, one sentence, what to do, and the time since when. */
export const ReadinessCause = z.object({
  cause: z.string(),
  sentence: z.string(),
  hint: z.string().nullable(),
  since: z.string().nullable(),
})
export type ReadinessCause = z.infer<typeof ReadinessCause>

/** Problem that a worker (orchestrator process) reports to the database. */
export type WorkerProblem = Pick<ReadinessCause, 'cause' | 'sentence' | 'hint'>

/** Session that holds a lock for which other sessions wait. */
export const BlockingSession = z.object({
  pid: z.number().int(),
  role: z.string().nullable(),
  application: z.string().nullable(),
  waiting: z.number().int(),
  since: z.string(),
})
export type BlockingSession = z.infer<typeof BlockingSession>

/** State of the database as a new connection finds it. */
export const DatabaseReadiness = z.object({
  schemaVersion: z.string().nullable(),
  causes: z.array(ReadinessCause),
  blocking: z.array(BlockingSession),
})
export type DatabaseReadiness = z.infer<typeof DatabaseReadiness>
