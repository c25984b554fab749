/**
 * Counts words that comments and documentation of this project should not contain. The test
 * tests/scripts/words.test.ts limits how many there may be.
 *
 *   npm run words [-- PATH…]
 */
import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export const CATEGORIES = {
  /** Words such as `anyone`. A sentence should name the component or the role, such as the operator. */
  indefinitePerson:
    /\b(?:whoever|whomever|nobody|somebody|everybody|anybody|someone|anyone|everyone|no one)(?:'s)?\b/gi,
  /**
   * Verbs that fit persons but not software. `seen:` is allowed, because it is the label of an observation.
   */
  speakingOrSeeing:
    /\b(?:say|says|said|saying|tells?|told|telling|hears?|heard|hearing|looks?|looked|looking|sees?|saw|seen(?!:)|seeing|speaks?|spoke|spoken|speaking|talks?|talked|talking|asks?|asked|asking)\b/gi,
  /** Words that once had a private meaning. ARCHITECTURE.md has the standard terms. */
  private:
    /\b(?:bells?|doorbells?|rings|rang|rung|ringing|rides?|rode|riding|heeds?|guilty|innocent|seats?|seated|nursery|hindsight|carr(?:y|ies|ied) out)\b/gi,
} as const

export type Category = keyof typeof CATEGORIES

export interface Hit {
  path: string
  category: Category
  context: string
}

const PATHS = ['*.md', 'docs', 'nix', 'public', 'scripts', 'sql', 'src', 'tests']
const FILES = '**/*.{ts,js,mjs,md,sql,nix,sh,css}'
const EXCLUDED =
  /sql\/migrations\/|node_modules\/|docs\/psql-session\.md$|scripts\/words\.ts$|words\.test\.ts$/
const CONTEXT_CHARACTERS = 45

/** Returns the comments of a source file or the text of a document, without text in backticks. */
export function proseOf(path: string, text: string): string {
  return extract(path, text).replace(/`[^`\n]*`/g, ' ')
}

function extract(path: string, text: string): string {
  const all = (pattern: RegExp, group = 0) => [...text.matchAll(pattern)].map((match) => match[group] ?? '')
  if (path.endsWith('.md')) return text.replace(/^```[\s\S]*?^```/gm, '').replace(/\]\([^)]*\)/g, ']')
  if (path.endsWith('.sql')) {
    return [...all(/--.*$/gm), ...all(/comment on [\s\S]*? is\s+'((?:[^']|'')*)'/g, 1)].join('\n')
  }
  if (/\.(nix|sh)$/.test(path)) return all(/(?:^|\s)#(?!!).*$/gm).join('\n')
  const comments = all(/\/\*[\s\S]*?\*\/|(?:^|\s)\/\/\s.*$/gm)
  return comments.filter((comment) => !comment.includes('biome-ignore')).join('\n')
}

function filesOf(root: string, paths: readonly string[]): string[] {
  const found = paths.flatMap((path) => {
    const isFolder = statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory()
    return globSync(isFolder ? `${path}/${FILES}` : path, { cwd: root })
  })
  return found.filter((path) => !EXCLUDED.test(path)).sort()
}

/** Counts all words and finds the unwanted ones in the comments and documents below `paths`. */
export function countWords(root: string, paths: readonly string[] = PATHS): { words: number; hits: Hit[] } {
  const hits: Hit[] = []
  let words = 0
  for (const path of filesOf(root, paths)) {
    const prose = proseOf(path, readFileSync(join(root, path), 'utf8'))
    words += prose.match(/[A-Za-z][A-Za-z'-]*/g)?.length ?? 0
    for (const [category, pattern] of Object.entries(CATEGORIES) as [Category, RegExp][]) {
      for (const { index } of prose.matchAll(pattern)) {
        const context = prose.slice(Math.max(0, index - CONTEXT_CHARACTERS), index + CONTEXT_CHARACTERS)
        hits.push({ path, category, context: context.replace(/\s+/g, ' ') })
      }
    }
  }
  return { words, hits }
}

/** Returns the number of unwanted words per 1,000 words, by category. */
export function ratesOf({ words, hits }: ReturnType<typeof countWords>): Record<Category, number> {
  const rate = (category: Category) =>
    (hits.filter((hit) => hit.category === category).length / Math.max(words, 1)) * 1000
  return {
    indefinitePerson: rate('indefinitePerson'),
    speakingOrSeeing: rate('speakingOrSeeing'),
    private: rate('private'),
  }
}

if (process.argv[1] === import.meta.filename) {
  const given = process.argv.slice(2)
  const counted = countWords(join(import.meta.dirname, '..'), given.length > 0 ? given : undefined)
  for (const { path, category, context } of counted.hits) console.log(`${path}: ${category}: …${context}…`)
  console.log(`${counted.words} words; per 1,000 words:`)
  for (const [category, rate] of Object.entries(ratesOf(counted)))
    console.log(`  ${category} ${rate.toFixed(2)}`)
}
