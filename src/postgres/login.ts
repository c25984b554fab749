/**
 * PostgreSQL logins of the relay (HTTP server and event stream), of the orchestrator (worker that executes
 * operations), and of the operator's psql.
 */
export const LOGINS = ['bloud_relay', 'bloud_orchestrator', 'bloud_psql'] as const
export type Login = (typeof LOGINS)[number]
