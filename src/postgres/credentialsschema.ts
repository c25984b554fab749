/**
 * Form of `<data>/database.json`. In a file of its own, because the process of `npm start` does not need zod.
 */
import { z } from 'zod'
import type { Login } from './login.ts'

/** Converts the passwords of an earlier version, in which psql used the login bloud_operator. */
function withPsqlLogin(passwords: unknown): unknown {
  const { bloud_operator, ...others } = z.record(z.string()).parse(passwords)
  return bloud_operator ? { bloud_psql: bloud_operator, ...others } : others
}

/** Content of `database.json`. */
export const schema = z.object({
  version: z.literal(1),
  database: z.string(),
  /** TCP port of the PostgreSQL server on 127.0.0.1. */
  port: z.number().int().min(1).max(65535),
  /** Directory of the Unix socket. Null if the path would be too long for a socket. */
  socketDir: z.string().nullable(),
  superuserPassword: z.string().min(1),
  rolePasswords: z.preprocess(
    withPsqlLogin,
    z.object({
      bloud_relay: z.string().min(1),
      bloud_orchestrator: z.string().min(1),
      bloud_psql: z.string().min(1),
    } satisfies Record<Login, z.ZodString>),
  ),
})

export type Credentials = z.infer<typeof schema>
