/** Finds lines wider than 110 columns in SQL, comments and Markdown. Biome checks the width of other code. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const WIDTH = 110
const FILES = '{*.md,{docs,nix,public,scripts,sql,src,tests}/**/*.{ts,js,sql,md}}'
/** Files that are not checked: frozen migrations, text printed by psql, and packages. */
const EXCLUDED = /sql\/migrations\/000[12]|docs\/psql-session\.md$|node_modules\//
/** Lines that are not checked, because a Markdown table row, a link or a URL can't be broken. */
const UNBREAKABLE = /^\s*\||https?:\/\/|\]\(/

const isProse = (path: string, line: string) => /\.(sql|md)$/.test(path) || /^\s*(\/?\*|\/\/)/.test(line)

/**
 * Checks all files below `root`.
 * @returns a sentence for each line that is too wide.
 */
export function checkWidth(root: string): string[] {
  return globSync(FILES, { cwd: root })
    .filter((path) => !EXCLUDED.test(path))
    .sort()
    .flatMap((path) => {
      const lines = readFileSync(join(root, path), 'utf8').split('\n')
      return lines.flatMap((line, index) => {
        if ([...line].length <= WIDTH || UNBREAKABLE.test(line) || !isProse(path, line)) return []
        return [`${path}:${index + 1} is wider than ${WIDTH} columns`]
      })
    })
}

if (process.argv[1] === import.meta.filename) {
  const problems = checkWidth(join(import.meta.dirname, '..'))
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
}
