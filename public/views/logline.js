import { ansiPieces } from '../state/ansi.js'
import { html } from './html.js'

/** A line of a log in the colours it was written in. @param {string} line */
export const logLine = (line) =>
  ansiPieces(line).map(({ text, style }) => (style ? html`<span class=${style}>${text}</span>` : text))
