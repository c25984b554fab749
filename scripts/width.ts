/**
 * Finds files that are too long, and lines wider than 110 columns in SQL, comments and Markdown. Biome checks
 * the width of other code.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const WIDTH = 110
/** Upper limit of the lines of a program file or SQL file. */
const LENGTH = 300
const FILES = '{*.md,{docs,nix,public,scripts,sql,src,tests}/**/*.{ts,js,sql,md}}'
/**
 * Files that are not checked: old migrations, which must not change, the generated list of the tables, the
 * output of psql, and npm packages.
 */
const EXCLUDED = /sql\/migrations\/000[12]|sql\/schema\.sql|docs\/psql-session\.md$|node_modules\//
/**
 * Lines with a table row, a link or a URL are not checked, because Markdown does not allow a line break in
 * them.
 */
const UNBREAKABLE = /^\s*\||https?:\/\/|\]\(/

const isProse = (path: string, line: string) => /\.(sql|md)$/.test(path) || /^\s*(\/?\*|\/\/)/.test(line)

/** Returns a sentence for each line below `root` that is too wide, and for each file that is too long. */
export function checkWidth(root: string): string[] {
  return globSync(FILES, { cwd: root })
    .filter((path) => !EXCLUDED.test(path))
    .sort()
    .flatMap((path) => {
      const lines = readFileSync(join(root, path), 'utf8').trimEnd().split('\n')
      const tooLong = lines.length > LENGTH && !path.endsWith('.md')
      const tooWide = lines.flatMap((line, index) => {
        if ([...line].length <= WIDTH || UNBREAKABLE.test(line) || !isProse(path, line)) return []
        return [`${path}:${index + 1} is wider than ${WIDTH} columns`]
      })
      return tooLong ? [`${path} has more than ${LENGTH} lines`, ...tooWide] : tooWide
    })
}

if (process.argv[1] === import.meta.filename) {
  const problems = checkWidth(join(import.meta.dirname, '..'))
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
}
