/** Tests each operation in psql, and writes what was typed and printed to docs/psql-session.md. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../src/config.ts'
import { type Home, makeHome } from '../support/home.ts'
import { makePackage } from '../support/packages.ts'
import { openPsql, type Psql } from '../support/psql.ts'
import { needs } from '../support/tools.ts'

const DOCUMENT = join(ROOT, 'docs/psql-session.md')
const REFRESHED = `select not exists (select from bloud.operations where kind = 'refresh_catalog' and state = 'queued')`

function recorded(psql: Psql) {
  const paragraphs: string[] = []
  const note = (line: string, output: string): string => {
    paragraphs.push(`\`\`\`\n=> ${line}\n${output}\n\`\`\``)
    return output
  }
  return {
    paragraphs,
    explain: (sentence: string) => void paragraphs.push(sentence),
    type: async (line: string) => note(line, await psql.type(line)),
    async watch(line: string, pattern: RegExp) {
      const output = await psql.watch(line, pattern)
      note(line, `${frames(output)}\n^C`)
      return output
    },
  }
}

/**
 * Returns the tables that psql's `\watch` (which repeats a query) has printed, one for each status of the
 * app.
 */
function frames(output: string): string {
  const tables = output.split(/\n\n+(?=\S.*\(every 1s\))/)
  const status = (table = '') => /│ (\w+) +│/.exec(table.split('┼').at(-1) ?? '')?.[1]
  return tables.filter((table, n) => status(table) !== status(tables[n - 1])).join('\n\n')
}

const trimmed = (text: string): string => text.replace(/^ npm warn .*\n/gm, '').replace(/ +$/gm, '')

/** Gives the app a package whose install waits up to 60 s, so that there is time to cancel it. */
async function makeItSlow(home: Home, port: number): Promise<void> {
  const npm = {
    package: await makePackage(home.packages, { name: 'slow', behaviour: 'slow-install' }),
    bin: 'app',
    installScripts: ['bloud-test-slow'],
  }
  await home.addApp('notes', 'healthy', { npm, port, version: '2.0.0' })
}

async function session(home: Home, psql: ReturnType<typeof recorded>): Promise<void> {
  psql.explain('Install it, and watch it come up. Ctrl-C ends `:watch`.')
  assert.match(
    await psql.type("select id, app, kind, state from bloud.install('notes');"),
    /install │ queued/,
  )
  const watched = await psql.watch(':watch', /notes │ running/)
  assert.match(watched, /\(every 1s\)/)
  psql.explain('The app becomes unhealthy. `why()` returns the cause.')
  await fetch(`http://127.0.0.1:${await portOf(home)}/unhealthy`, { method: 'POST' })
  await home.until('notes', 'error')
  assert.match(await psql.type("select question, answer from bloud.why('notes');"), /cause +│ health: .*503/)
  await psql.type("select name, status, port, cause ->> 'hint' as hint from bloud.app_status;")
  psql.explain('There is a new version in the catalog. Read the catalog again, and retry.')
  await makeItSlow(home, await portOf(home))
  assert.match(
    await psql.type('select kind, state from bloud.refresh_catalog();'),
    /refresh_catalog │ queued/,
  )
  await home.untilTrue(REFRESHED)
  assert.match(await psql.type("select id, app, kind, state from bloud.retry('notes');"), /install │ queued/)
  await home.untilTrue(
    "select exists (select from bloud.rebuild_log where line like '%preinstall is waiting%')",
  )
  assert.match(await psql.type(':log'), /preinstall is waiting/)
  psql.explain('That takes too long. Cancel it.')
  assert.match(
    await psql.type("select id, state, cancel_requested_at is not null as asked from bloud.cancel('notes');"),
    /│ t/,
  )
  await home.until('notes', 'failed')
  assert.match(await psql.type("select question, answer from bloud.why('notes');"), /cancelled: /)
  assert.match(
    await psql.type("select bloud.cancel('notes');"),
    /ERROR: +There is nothing to cancel for notes\nHINT: /,
  )
  psql.explain('Uninstall it, then delete its data.')
  assert.match(
    await psql.type("select kind, state, purge from bloud.uninstall('notes');"),
    /uninstall │ queued │ f/,
  )
  await home.until('notes', 'stopped')
  assert.match(
    await psql.type("select kind, state, purge from bloud.uninstall('notes', purge => 'notes');"),
    /queued │ t/,
  )
  await home.until('notes', null)
  assert.match(await psql.type("select bloud.retry('notes');"), /ERROR: +notes is not installed/)
  psql.explain('The history, newest first, and the status at an earlier moment:')
  await psql.type(
    "select from_status, to_status, duration, actor, origin from bloud.history where app = 'notes';",
  )
  await psql.type(
    "select bloud.status_at('notes', (select max(at) from bloud.events where to_status = 'building'));",
  )
}

const portOf = async (home: Home): Promise<number> =>
  (await home.sql.query('select port from bloud.apps')).rows[0].port

const statements = (text: string): string[] => text.match(/^=> .*$/gm) ?? []

test(
  'install, watch, failure, why, retry, cancel, uninstall, purge: all of it in psql',
  needs('psql'),
  async (t) => {
    const home = await makeHome(t)
    await home.addApp('notes', 'switchable')
    await home.orchestrator()
    const psql = await openPsql(home.database.urlFor('bloud_operator'))
    assert.match(psql.greeting, /^Bloud\. :status/)
    const recorder = recorded(psql)
    await session(home, recorder)
    await psql.close()
    assert.deepEqual(await home.transitionsOf('notes'), [
      ...['→queued', 'queued→configuring', 'configuring→building', 'building→starting', 'starting→running'],
      ...['running→error', 'error→queued', 'queued→configuring', 'configuring→building', 'building→failed'],
      ...['failed→stopping', 'stopping→stopped', 'stopped→'],
    ])
    const head = `# A session in psql

\`npm run -s psql\`, with an app called notes. Printed by \`tests/stories/psql.test.ts\` from a real run; of \`:watch\`, one
table per status.`
    const document = trimmed([head, ...recorder.paragraphs].join('\n\n')).replaceAll(
      home.packages,
      '/packages',
    )
    if (process.env.UPDATE_DOCS) await writeFile(DOCUMENT, `${document}\n`)
    assert.deepEqual(
      statements(await readFile(DOCUMENT, 'utf8')),
      statements(document),
      'run with UPDATE_DOCS=1',
    )
  },
)
