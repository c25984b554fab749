/**
 * Decides which characters texts from outside may contain: HTTP requests, catalog files, display names and
 * log lines.
 */

/**
 * Returns the reason why PostgreSQL can't store the text, or null. It stores neither NUL nor half of a
 * character that UTF-16 represents by two code units.
 */
export function whyNotStorable(text: string): string | null {
  if (text.includes('\0')) return 'contains a NUL character (\\0)'
  if (!text.isWellFormed()) return 'contains half of a character (a lone surrogate such as \\ud800)'
  return null
}

/**
 * Characters that are invisible or change the direction of other text, except tab in a log line. The SQL
 * function bloud.is_display_name() and public/state/ansi.js have the same list (tests/domain/text.test.ts).
 */
const HIDDEN =
  '\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f' +
  '\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0d\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff' +
  '\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}'
/** Symbols that a zero-width joiner (U+200D) can join to one emoji. */
const EMOJI = '\\u2190-\\u2bff\\u{1f000}-\\u{1faff}'
const JOINER = new RegExp(`(?<=[${EMOJI}\\ufe0f])\\u200d(?=[${EMOJI}])`, 'gu')
const HAS_HIDDEN = new RegExp(`[${HIDDEN}]`, 'u')
const BLANK = /^(?:[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]|\ufe0e|\ufe0f)*$/
/** Upper limit of a display name in characters, as in bloud.is_display_name(). */
const MAX_NAME = 80

/** Returns the reason why the text can't be the display name of an app, or null. */
export function whyNotDisplayName(text: string): string | null {
  if (BLANK.test(text)) return 'has no visible character'
  if ([...text].length > MAX_NAME) return `has more than ${MAX_NAME} characters`
  if (HAS_HIDDEN.test(text.replace(JOINER, '')))
    return 'contains a character that is invisible or changes the direction of text'
  return null
}

const ESC = '\\u001b'
/**
 * Matches an escape sequence of a terminal (ECMA-48) or a hidden character except tab. A sequence without an
 * end matches up to the end of the line.
 */
const SEQUENCE = new RegExp(
  `(?:${ESC}\\[|\\u009b)[0-?]*[ -/]*[@-~]?` +
    `|(?:${ESC}[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007\\u009c${ESC}]*(?:\\u0007|\\u009c|${ESC}\\\\)?` +
    `|${ESC}[ -/]*[0-~]?` +
    `|(?!\\t)(?:(?<![${EMOJI}\\ufe0f])\\u200d|\\u200d(?![${EMOJI}])|(?!\\u200d)[${HIDDEN}])`,
  'gu',
)
/** Matches a sequence after which the text of the line is overwritten. */
const LINE_START = new RegExp(`(?:${ESC}\\[|\\u009b)(?:[01]?G|2K)`, 'g')
/** Matches a character and the backspace that deletes the character. */
const OVERSTRUCK = /\P{Cc}[\b]/gu

/**
 * Returns the text that a terminal shows of a line, without colours and hidden characters. Of a line that a
 * program overwrote, for example to show progress, only the last text is kept.
 */
export function terminalText(line: string): string {
  if (!HAS_HIDDEN.test(line)) return line
  const written = line.replace(LINE_START, '\r').replace(OVERSTRUCK, '').split('\r')
  const shown = written.map((part) => part.replace(SEQUENCE, ''))
  return shown.findLast((part) => part.trim() !== '') ?? ''
}
