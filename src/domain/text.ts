/** Checks texts that come from outside: HTTP requests and catalog files. */

/**
 * Returns the reason why PostgreSQL can't store the text, or null. It stores neither NUL nor half of a
 * character that UTF-16 represents by two code units.
 */
export function whyNotStorable(text: string): string | null {
  if (text.includes('\0')) return 'contains a NUL character (\\0)'
  if (!text.isWellFormed()) return 'contains half of a character (a lone surrogate such as \\ud800)'
  return null
}
