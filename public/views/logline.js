import { ansiSegments } from '../state/ansi.js'
import { html } from './html.js'

/** Renders a log line with its terminal colours. @param {string} line */
export const logLine = (line) =>
  ansiSegments(line).map(({ text, style }) => (style ? html`<span class=${style}>${text}</span>` : text))
