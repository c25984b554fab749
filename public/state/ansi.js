/**
 * Lines as a terminal would show them: colours as classes, everything else a terminal obeys taken out. Pure.
 *
 * A colour of 256 or of 16 million becomes the nearest of the eight of css/log.css: those can be read on the ground of a
 * log, and a style of its own is not allowed here (the page's policy).
 */

const ESC = '\\u001b'
/** ECMA-48. CSI: parameters, intermediates, final byte; strings (OSC, DCS, …): until their end; other escapes; and single
 *  control characters but the tab. What was cut off is taken out as far as it goes. */
const SEQUENCE = new RegExp(
  `(?:${ESC}\\[|\\u009b)([0-?]*)[ -/]*([@-~])?` +
    `|(?:${ESC}[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007\\u009c${ESC}]*(?:\\u0007|\\u009c|${ESC}\\\\)?` +
    `|${ESC}[ -/]*[0-~]?` +
    '|[\\u0000-\\u0008\\u000a-\\u001f\\u007f-\\u009f]',
  'g',
)
const CONTROL = /(?!\t)\p{Cc}/u
/** To the first column, or the whole line erased: what follows is written over what was there. */
const LINE_START = new RegExp(`(?:${ESC}\\[|\\u009b)(?:[01]?G|2K)`, 'g')
const OVERSTRUCK = /\P{Cc}[\b]/gu

/** @typedef {{ text: string, style: string }} Piece */

/** A line as pieces of text with the classes of their colours. @param {string} line @returns {Piece[]} */
export function ansiPieces(line) {
  if (!CONTROL.test(line)) return line === '' ? [] : [{ text: line, style: '' }]
  // What a terminal wrote over (progress bars) was never meant to stay.
  const written = line.replace(LINE_START, '\r').replace(OVERSTRUCK, '').split('\r')
  for (const last of written.reverse()) {
    const pieces = piecesOf(last)
    if (pieces.length > 0) return pieces
  }
  return []
}

/** @param {string} text @returns {Piece[]} */
function piecesOf(text) {
  /** @type {Piece[]} */
  const pieces = []
  let style = ''
  let from = 0
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index > from) pieces.push({ text: text.slice(from, match.index), style })
    if (match[2] === 'm') style = restyle(style, match[1] ?? '')
    from = match.index + match[0].length
  }
  if (from < text.length) pieces.push({ text: text.slice(from), style })
  return pieces
}

/** A line without what a terminal would do with it. @param {string} line */
export const plainText = (line) =>
  CONTROL.test(line)
    ? ansiPieces(line)
        .map(({ text }) => text)
        .join('')
    : line

/** What is switched on, and by which code off again. @type {Record<number, string>} */
const LETTERS = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline' }
/** @type {Record<number, string[]>} */
const LETTERS_OFF = { 22: ['bold', 'dim'], 23: ['italic'], 24: ['underline'] }

/** @param {string} style classes @param {string} parameters of SGR @returns {string} */
function restyle(style, parameters) {
  // Private ones (`>4;1m`) say nothing about colours.
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
    else if (LETTERS[code] && more[0] !== 0) classes.add(LETTERS[code])
    else
      for (const off of LETTERS_OFF[code] ?? (more[0] === 0 ? [LETTERS[code] ?? ''] : [])) classes.delete(off)
  }
  return [...classes].join(' ')
}

/** @param {Set<string>} classes @param {number | null} colour */
function recolour(classes, colour) {
  for (const one of classes) if (one.startsWith('ansi-')) classes.delete(one)
  if (colour !== null) classes.add(`ansi-${colour}`)
}

/** Those of the codes that belong to a colour: `5;n` or `2;r;g;b`. @param {string[]} codes */
function takeExtended(codes) {
  const [kind] = codes
  return codes.splice(0, kind === '5' ? 2 : kind === '2' ? 4 : 1).map(Number)
}

/** @param {number[]} colour @returns {number | null} one of eight */
function extended([kind, ...values]) {
  if (kind === 2) return nearest(values.slice(-3))
  const [index = -1] = values
  if (kind !== 5 || !(index >= 0 && index <= 255)) return null
  if (index < 16) return index % 8
  if (index >= 232) return nearest(Array(3).fill(8 + (index - 232) * 10))
  const cube = index - 16
  return nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((step) => step * 51))
}

/** Below this difference of its parts (of 255) a colour is a grey. */
const GREY = 40

/** @param {number[]} rgb */
function nearest([red = 0, green = 0, blue = 0]) {
  const [least, most] = [Math.min(red, green, blue), Math.max(red, green, blue)]
  if (most - least < GREY) return most < 128 ? 0 : 7
  const middle = (least + most) / 2
  return (red > middle ? 1 : 0) + (green > middle ? 2 : 0) + (blue > middle ? 4 : 0)
}
