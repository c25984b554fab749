/** Tests that the database, the catalog, the log and the page agree on the characters of visible texts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { plainText } from '../../public/state/ansi.js'
import { parseCatalogFile } from '../../src/domain/catalogfile.ts'
import { terminalText, whyNotDisplayName } from '../../src/domain/text.ts'
import { testDatabase } from '../support/cluster.ts'
import { session, value } from '../support/sql.ts'

const ends: (() => unknown)[] = []
let sql: Awaited<ReturnType<typeof session>>
before(async () => {
  const database = await testDatabase('text')
  ends.push(database.drop)
  sql = await session(database.url)
  ends.push(() => sql.end())
})
after(async () => {
  for (const end of ends.reverse()) await end()
})

const isDisplayName = (text: string) => value<boolean>(sql, 'select bloud.is_display_name($1)', [text])
const catalogFile = (name: string) =>
  `name: notes\ndisplayName: ${JSON.stringify(name)}\ncategory: test\nport: 8000\nimage: example/notes:1\n`

const hex = (code: number) => `U+${code.toString(16).padStart(4, '0')}`

test('database and program refuse the same characters, among them all that Unicode calls invisible', async () => {
  // Other characters are those of scripts, or private ones, or none yet.
  const isTested = (code: number) =>
    code < 0xd800 ||
    (code >= 0xe000 && code < 0x10000) ||
    (code >= 0x1b000 && code < 0x1fb00) ||
    code >= 0xe0000
  const storable = Array.from({ length: 0xe1000 }, (_, index) => index + 1).filter(isTested)
  const fromDatabase = await value<number[]>(
    sql,
    `select array_agg(code order by code) from unnest($1::int[]) code
     where not bloud.is_display_name('a' || chr(code) || 'b')`,
    [storable],
  )
  const refused = storable.filter((code) => whyNotDisplayName(`a${String.fromCodePoint(code)}b`))
  assert.deepEqual(refused.map(hex), fromDatabase.map(hex))
  const emojiStyle = [0xfe0e, 0xfe0f]
  const invisible = storable.filter(
    (code) =>
      /[\p{Cc}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]/u.test(
        String.fromCodePoint(code),
      ) && !emojiStyle.includes(code),
  )
  assert.deepEqual(invisible.filter((code) => !refused.includes(code)).map(hex), [])
  const isShown = (code: number) =>
    plainText(`a${String.fromCodePoint(code)}b`).includes(String.fromCodePoint(code))
  assert.deepEqual(refused.filter(isShown).map(hex), ['U+0009'], 'the page shows only the tab of them')
})

const NAMES: [name: string, isValid: boolean][] = [
  ['Notes', true],
  ['Rosis Fluß 🏡', true],
  ['👩‍🚀', true],
  ['❤️‍🔥 👨‍👩‍👧', true],
  ['جریان', true],
  ['x'.repeat(80), true],
  ['🏡'.repeat(80), true],
  ['', false],
  ['x'.repeat(81), false],
  ['🏡'.repeat(81), false],
  ['   ', false],
  ['\u00a0\u3000\u2003', false],
  ['\ufe0f', false],
  ['\u3164', false],
  ['a\u3164', false],
  ['a\u2028b', false],
  ['a\u200eb', false],
  ['a\u200bb', false],
  ['a\u200db', false],
  ['\u200d🏡', false],
  ['a\u00adb', false],
  ['a\u202eb', false],
  ['a\u0085b', false],
  ['a\nb', false],
  ['a\u{e0041}b', false],
]
for (const [name, isValid] of NAMES) {
  test(`${JSON.stringify(name.slice(0, 20))} is ${isValid ? '' : 'not '}a display name everywhere`, async () => {
    assert.equal(await isDisplayName(name), isValid, 'in the database')
    assert.equal(whyNotDisplayName(name) === null, isValid, 'in the program')
    assert.equal('ok' in parseCatalogFile(catalogFile(name), 'notes.yaml'), isValid, 'in a catalog file')
  })
}

const LINK = '\u001b]8;;https://example.org'
const LINES: [line: string, shown: string][] = [
  [`${LINK}\u001b\\click\u001b]8;;\u001b\\ here`, 'click here'],
  [`${LINK}\u0007click\u001b]8;;\u0007 here`, 'click here'],
  [`${LINK}\u009cclick\u001b]8;;\u009c here`, 'click here'],
  [`\u009d8;;https://example.org\u009cclick\u009d8;;\u009c here`, 'click here'],
  [`${LINK};id=a:b c\u001b\\click`, 'click'],
  [`before ${LINK} without an end`, 'before '],
  ['\u001bP1;2|3/data\u001b\\after', 'after'],
  ['\u001b[38;5;196mred\u001b[0m', 'red'],
  ['10%\r50%\u001b[2K100%', '100%'],
  ['a\u202eb\u2028c\u200ed\u3164e', 'abcde'],
  ['tab\tstays', 'tab\tstays'],
  ['👩‍🚀', '👩‍🚀'],
]
for (const [line, shown] of LINES) {
  test(`a log line ${JSON.stringify(line)} is stored and shown as ${JSON.stringify(shown)}`, () => {
    assert.equal(terminalText(line), shown)
    assert.equal(plainText(line), shown)
  })
}

test('the log and the page agree on every line', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '\u001b',
      '\u001b]8;;',
      '\u001b\\',
      '\u0007',
      '\u009c',
      '\u009d',
      '\r',
      '\b',
      '\u001b[',
      'm',
      '2K',
    ),
    fc.constantFrom('\u202e', '\u2028', '\u3164', '\u200d', '🏡', '\t', ' ', 'a', '1;2'),
    fc.string({ maxLength: 3, unit: 'binary' }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const line = pieces.join('').replaceAll('\n', '')
      assert.equal(terminalText(line), plainText(line))
      assert.equal(terminalText(terminalText(line)), terminalText(line))
    }),
    { numRuns: 2000 },
  )
})
