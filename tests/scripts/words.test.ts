import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Category, countWords, ratesOf } from '../../scripts/words.ts'
import { ROOT } from '../../src/config.ts'
import { temporaryDirectory } from '../support/directory.ts'

/**
 * Maximum number of banned words (listed in scripts/words.ts) per 1,000 words, by category. A commit must not
 * raise a limit.
 */
const LIMITS: Record<Category, number> = { indefinitePerson: 0.3, speakingOrSeeing: 3, private: 0 }

const top = temporaryDirectory()

for (const [category, limit] of Object.entries(LIMITS) as [Category, number][]) {
  test(`${category}: at most ${limit} per 1,000 words of comments and documentation`, () => {
    const counted = countWords(ROOT)
    const hits = counted.hits.filter((hit) => hit.category === category)
    const list = hits.map(({ path, context }) => `${path}: …${context}…`).join('\n')
    assert.ok(ratesOf(counted)[category] <= limit, `${ratesOf(counted)[category].toFixed(2)}:\n${list}`)
  })
}

test('one bad sentence in a comment is counted in each kind of file, code and quoted words are not', () => {
  const bad = 'Whoever rings the bell is told'
  const files: Record<string, string> = {
    'a.ts': `/** ${bad}. */\nconst whoever = 'nobody said'\n`,
    'b.sql': `-- ${bad}\ncomment on table x is '${bad}';\nselect 'nobody said';\n`,
    'c.md': `${bad}.\n\n\`nobody\`\n\n\`\`\`\nnobody said\n\`\`\`\n`,
    'd.nix': `x = "nobody said"; # ${bad}\n`,
  }
  for (const [path, text] of Object.entries(files)) {
    writeFileSync(join(top, path), text)
    const { hits } = countWords(top, [path])
    const each = path === 'b.sql' ? 2 : 1
    assert.deepEqual(
      Object.groupBy(hits, ({ category }) => category).private?.length,
      2 * each,
      `${path}: rings, bell`,
    )
    for (const category of ['indefinitePerson', 'speakingOrSeeing'])
      assert.equal(hits.filter((hit) => hit.category === category).length, each, `${path}: ${category}`)
  }
})
