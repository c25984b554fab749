/** Writes docs/events.schema.json from the zod schemas: `node scripts/eventschema.ts`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zodToJsonSchema } from 'zod-to-json-schema'
import { PolledEvents, STREAM_EVENTS } from '../src/domain/event.ts'

export const SCHEMA_FILE = join(import.meta.dirname, '../docs/events.schema.json')

/**
 * Returns the JSON Schema of each event of the stream, by event name. The key `polled` describes the response
 * to clients that poll instead.
 */
export function eventSchemas(): object {
  const all = Object.entries({ ...STREAM_EVENTS, polled: PolledEvents })
  const definitions = Object.fromEntries(
    all.map(([name, schema]) => {
      const { $schema, ...made } = zodToJsonSchema(schema, { $refStrategy: 'none' }) as Record<
        string,
        unknown
      >
      return [name, made]
    }),
  )
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: 'GET /api/events', definitions }
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(SCHEMA_FILE, `${JSON.stringify(eventSchemas(), null, 2)}\n`)
}
