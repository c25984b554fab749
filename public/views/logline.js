import { ansiSegments } from '../state/ansi.js'
import { html } from './html.js'

/** @param {string} line text with terminal escape sequences */
export const logLine = (line) =>
  ansiSegments(line).map(({ text, style }) => (style ? html`<span class=${style}>${text}</span>` : text))
