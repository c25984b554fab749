import { colourOf, initial } from '../state/text.js'
import { html } from './html.js'

/** SVG paths of the icons, on a grid of 24 × 24. Each status has its own shape, not only its own colour. */
const PATHS = {
  queued: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5l3 2',
  configuring:
    'M4 7h9M19 7h1M4 17h3M13 17h7M16 4.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M10 14.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5',
  building: 'M12 3l9 5-9 5-9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5',
  starting: 'M3 12h4l3-7 4 14 3-7h4',
  running: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M8 12.3l2.8 2.7L16 9.5',
  stopping: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M8 12h8',
  stopped: 'M12 3v8M6.3 7a8 8 0 1 0 11.4 0',
  error: 'M12 4l9 16H3zM12 10v4M12 17v.2',
  failed: 'M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3zM9 9l6 6M15 9l-6 6',
  done: 'M5 12.5l4.5 4.5L19 7.5',
  broken: 'M6 6l12 12M18 6L6 18',
  open: 'M8 16L17 7M9 7h8v8',
  log: 'M4 6l5 5-5 5M12 17h8',
  close: 'M6 6l12 12M18 6L6 18',
  more: 'M5 12h.1M12 12h.1M19 12h.1',
  back: 'M14 6l-6 6 6 6',
  up: 'M6 15l6-6 6 6',
  down: 'M6 9l6 6 6-6',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l5 5',
}

/** @param {{ name: keyof typeof PATHS }} props */
export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>
`

/**
 * Shows the first letter of an app on a coloured background, because the catalog contains no logos.
 * @param {{ name: string, label: string }} props
 */
export const Avatar = ({ name, label }) => html`
  <span class=${`avatar colour-${colourOf(name)}`} aria-hidden="true">${initial(label)}</span>
`

export const Logo = () => html`
  <svg class="logo" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d="M7 19a5 5 0 0 1-.6-9.96A6 6 0 0 1 18 9.5 4.8 4.8 0 0 1 17.2 19z" />
  </svg>
`
