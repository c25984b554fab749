/**
 * Converts log lines with terminal escape sequences (such as colours) to text with CSS classes.
 *
 * Each colour becomes the nearest of the eight colours in css/log.css. Other colours would need style
 * attributes, which the content security policy of the page forbids.
 */

const ESC = '\\u001b'
/**
 * Characters that are invisible or change the direction of other text. src/domain/text.ts has the same list
 * (tests/domain/text.test.ts).
 */
const HIDDEN =
  '\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f' +
  '\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0d\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff' +
  '\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}'
/** Symbols that a zero-width joiner (U+200D) can join to one emoji. */
const EMOJI = '\\u2190-\\u2bff\\u{1f000}-\\u{1faff}'
/**
 * Matches an escape sequence (ECMA-48) or a hidden character except tab. An incomplete sequence matches up
 * to the end of the line.
 */
const SEQUENCE = new RegExp(
  `(?:${ESC}\\[|\\u009b)([0-?]*)[ -/]*([@-~])?` +
    `|(?:${ESC}[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007\\u009c${ESC}]*(?:\\u0007|\\u009c|${ESC}\\\\)?` +
    `|${ESC}[ -/]*[0-~]?` +
    `|(?!\\t)(?:(?<![${EMOJI}\\ufe0f])\\u200d|\\u200d(?![${EMOJI}])|(?!\\u200d)[${HIDDEN}])`,
  'gu',
)
const HAS_HIDDEN = new RegExp(`[${HIDDEN}]`, 'u')
/**
 * Matches an escape sequence that moves the cursor to the first column or erases the line. The text after the
 * sequence overwrites the text before it.
 */
const LINE_START = new RegExp(`(?:${ESC}\\[|\\u009b)(?:[01]?G|2K)`, 'g')
/** Matches a character and the backspace that deletes the character. */
const OVERSTRUCK = /\P{Cc}[\b]/gu

/** @typedef {{ text: string, style: string }} Segment */

/** Splits a log line into segments of text with CSS classes. @param {string} line @returns {Segment[]} */
export function ansiSegments(line) {
  if (!HAS_HIDDEN.test(line)) return line === '' ? [] : [{ text: line, style: '' }]
  // Keeps only the last text of a line that was overwritten several times, for example by a progress bar.
  const written = line.replace(LINE_START, '\r').replace(OVERSTRUCK, '').split('\r')
  for (const last of written.reverse()) {
    const segments = segmentsOf(last)
    if (segments.some(({ text }) => text.trim() !== '')) return segments
  }
  return []
}

/** @param {string} text @returns {Segment[]} */
function segmentsOf(text) {
  /** @type {Segment[]} */
  const segments = []
  let style = ''
  let from = 0
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index > from) segments.push({ text: text.slice(from, match.index), style })
    if (match[2] === 'm') style = restyle(style, match[1] ?? '')
    from = match.index + match[0].length
  }
  if (from < text.length) segments.push({ text: text.slice(from), style })
  return segments
}

/** Returns the visible text of a log line, without escape sequences. @param {string} line */
export const plainText = (line) =>
  HAS_HIDDEN.test(line)
    ? ansiSegments(line)
        .map(({ text }) => text)
        .join('')
    : line

/** CSS class that each SGR code (number of a terminal style) adds. @type {Record<number, string>} */
const ADDED_CLASSES = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline' }
/** CSS classes that each SGR code removes. @type {Record<number, string[]>} */
const REMOVED_CLASSES = { 22: ['bold', 'dim'], 23: ['italic'], 24: ['underline'] }

/**
 * Returns the CSS classes of the text after an SGR sequence (escape sequence that changes the text style).
 * @param {string} style CSS classes before the sequence, separated by spaces
 * @param {string} parameters for example `1;31` for bold and red
 * @returns {string}
 */
function restyle(style, parameters) {
  // Private parameters such as `>4;1m` set neither colours nor styles.
  if (/[<=>?]/.test(parameters)) return style
  const classes = new Set(style.split(' ').filter(Boolean))
  const codes = parameters.split(';')
  while (codes.length > 0) {
    const [code = 0, ...more] = (codes.shift() ?? '').split(':').map(Number)
    if (code === 38 || code === 48) {
      const colour = extended(more.length > 0 ? more : takeExtended(codes))
      if (code === 38) recolour(classes, colour)
    } else if (code === 0) classes.clear()
    else if (code === 39) recolour(classes, null)
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) recolour(classes, code % 10)
    else if (ADDED_CLASSES[code] && more[0] !== 0) classes.add(ADDED_CLASSES[code])
    else
      for (const name of REMOVED_CLASSES[code] ?? (more[0] === 0 ? [ADDED_CLASSES[code] ?? ''] : []))
        classes.delete(name)
  }
  return [...classes].join(' ')
}

/** @param {Set<string>} classes @param {number | null} colour */
function recolour(classes, colour) {
  for (const name of classes) if (name.startsWith('ansi-')) classes.delete(name)
  if (colour !== null) classes.add(`ansi-${colour}`)
}

/**
 * Removes the values of an extended colour (palette `5;n` or RGB `2;r;g;b`) from `codes` and returns them.
 * @param {string[]} codes
 */
function takeExtended(codes) {
  const [kind] = codes
  return codes.splice(0, kind === '5' ? 2 : kind === '2' ? 4 : 1).map(Number)
}

/** @param {number[]} colour @returns {number | null} index of one of the eight colours */
function extended([kind, ...values]) {
  if (kind === 2) return nearest(values.slice(-3))
  const [index = -1] = values
  if (kind !== 5 || !(index >= 0 && index <= 255)) return null
  if (index < 16) return index % 8
  if (index >= 232) return nearest(Array(3).fill(8 + (index - 232) * 10))
  const cube = index - 16
  return nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((step) => step * 51))
}

/**
 * Difference between the largest and the smallest of red, green and blue (0 to 255). A colour with a smaller
 * difference counts as grey.
 */
const GREY = 40

/** @param {number[]} rgb */
function nearest([red = 0, green = 0, blue = 0]) {
  const [least, most] = [Math.min(red, green, blue), Math.max(red, green, blue)]
  if (most - least < GREY) return most < 128 ? 0 : 7
  const middle = (least + most) / 2
  return (red > middle ? 1 : 0) + (green > middle ? 2 : 0) + (blue > middle ? 4 : 0)
}
