/** Reads and checks the parameters of an HTTP request, from the path and the query. */
import { APP_NAME } from '../domain/catalog.ts'
import { Problem } from '../domain/problem.ts'
import type { RequestContext } from './router.ts'

const OPERATION_ID = /^[1-9][0-9]{0,14}$/
const COUNT = /^(0|[1-9][0-9]{0,14})$/

const quoted = (text: string) => JSON.stringify(text.slice(0, 80))

export const isName = (text: string): boolean => APP_NAME.test(text)

export function checkName(name: string): string {
  if (isName(name)) return name
  // The SQL function bloud.check_name() has the same error message.
  throw new Problem(
    'invalid_name',
    `'${name.slice(0, 80).replaceAll("'", "''")}' can't be the name of an app`,
    {
      detail: 'A name is 1 to 63 of a-z, 0-9 and -, and begins with a letter.',
      hint: 'List the names with: select name from bloud.catalog;',
    },
  )
}

export function nameOf({ params }: RequestContext): string {
  return checkName(params.name ?? '')
}

export function operationIdOf({ params }: RequestContext): number {
  const id = params.id ?? ''
  if (OPERATION_ID.test(id)) return Number(id)
  throw new Problem('invalid_request', `${quoted(id)} can't be the id of an operation`, {
    hint: 'The id is a positive whole number. GET /api/operations lists the newest operations.',
  })
}

/**
 * Returns a query parameter that must be a whole number from `from` to `to`, or `fallback` if the parameter
 * is absent.
 */
export function countOf(
  { request }: RequestContext,
  key: string,
  from: number,
  to: number,
  fallback: number,
): number {
  const given = request.query.get(key)
  if (given === null || given === '') return fallback
  const value = Number(given)
  if (COUNT.test(given) && value >= from && value <= to) return value
  throw new Problem(
    'invalid_request',
    `${key} must be a whole number from ${from} to ${to}, not ${quoted(given)}`,
  )
}
