/** Generates texts that are likely to cause mistakes. The texts are the same in each test run. */

const PIECES = [
  '${',
  '}',
  "''",
  "''${",
  '$',
  '\\',
  '\\"',
  '"',
  "'",
  '\n',
  '\r\n',
  '\t',
  '\u0001',
  '\u001b[31m',
  '\u007f',
  '\u0085',
  '\u009f',
  '\u2028',
  '\u2029',
  '\ufeff',
  '\ufffe',
  'é',
  '你好',
  '👩‍👩‍👧',
  '\u202e',
  '<script>',
  '&amp;',
  '%s',
  '%(x)s',
  '!Find [a]',
  '!KeyOf x',
  '&a',
  '*a',
  '- ',
  ': ',
  ' #',
  '|',
  '>',
  '---',
  '...',
  '%YAML 1.1',
  'no',
  'yes',
  'null',
  '~',
  '=',
  '<<',
  '0o17',
  '1e3',
  '.inf',
  '2001-01-01',
  '12:30:45',
  '@x',
  '`x`',
  '$(id)',
  '; rm -rf /',
  '../..',
  'builtins.readFile /etc/passwd',
  '//',
  '{',
  '[',
  ',',
  ' ',
  '',
]
const MAX_PIECES = 6

/** Returns a random number generator (mulberry32). The same seed gives the same numbers. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/**
 * Returns `count` texts. They contain no NUL and no unpaired surrogates, because PostgreSQL can't store
 * these.
 */
export function hostileTexts(count: number): string[] {
  const next = numbers(20_240_501)
  return Array.from({ length: count }, (_, index) => {
    if (index < PIECES.length) return PIECES[index] ?? ''
    const length = 1 + next(MAX_PIECES)
    const pieces = Array.from({ length }, () =>
      next(8) === 0 ? String.fromCodePoint(1 + next(0xd7fe)) : (PIECES[next(PIECES.length)] ?? ''),
    )
    return pieces.join('')
  })
}
