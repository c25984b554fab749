import { useMemo, useRef, useState } from 'preact/hooks'
import { own } from '../state/record.js'
import { appPath } from '../state/route.js'
import { lastSeenOf } from '../state/status.js'
import { BUSY_LABELS, capital } from '../state/text.js'
import { byName, StatusPill } from './applist.js'
import { Refusal } from './failure.js'
import { useFocusKept } from './focus.js'
import { html } from './html.js'
import { Avatar, Icon } from './icon.js'
import { useMemoized } from './memo.js'

/** @import { CatalogEntry, Pending, Problem, State, Status, Actions } from '../types.js' */

/** @param {CatalogEntry} entry @param {string} query @param {string | null} category */
function matches(entry, query, category) {
  if (category !== null && entry.category !== category) return false
  const text =
    `${entry.name} ${entry.display_name} ${entry.description ?? ''} ${entry.category ?? ''}`.toLowerCase()
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}

/** @param {CatalogEntry} entry @param {State} state */
const isAvailable = (entry, state) => entry.unavailable === null || own(state.apps, entry.name) !== undefined

/** @param {{ state: State, actions: Actions }} props */
export function Catalog({ state, actions }) {
  const [query, setQuery] = useState('')
  const [category, setCategory] = useState(/** @type {string | null} */ (null))
  const entries = state.catalog ?? []
  const categories = useMemo(
    () => [...new Set(entries.map((entry) => entry.category))].filter((name) => name !== null).sort(),
    [state.catalog],
  )
  const shown = useMemo(
    () => entries.filter((entry) => matches(entry, query.trim(), category)).sort(byName),
    [state.catalog, query, category],
  )
  const unavailable = shown.filter((entry) => !isAvailable(entry, state))
  return html`
    <section aria-labelledby="catalog-title">
      <div class="section-head">
        <h2 id="catalog-title">Catalog ${entries.length > 0 && html`<span class="count">${entries.length}</span>`}</h2>
        <label class="search"><${Icon} name="search" /><span class="sr">Search the catalog</span>
          <input type="search" name="search" placeholder="Search" value=${query}
            onInput=${(/** @type {any} */ event) => setQuery(event.target.value)} />
        </label>
      </div>
      ${categories.length > 1 && html`<${Categories} all=${categories} chosen=${category} choose=${setCategory} />`}
      <${CatalogNote} state=${state} shown=${shown.length} actions=${actions} />
      <${Tiles} entries=${shown.filter((entry) => isAvailable(entry, state))} state=${state} actions=${actions} />
      ${unavailable.length > 0 && html`<h3 class="tiles-title">Not on this host <span class="count">${unavailable.length}</span></h3>`}
      <${Tiles} entries=${unavailable} state=${state} actions=${actions} />
    </section>
  `
}

/** Used as `isUrgent`: every change of a tile is rendered at once. */
const always = () => true

/** @param {{ entries: CatalogEntry[], state: State, actions: Actions }} props */
function Tiles({ entries, state, actions }) {
  const memo = useMemoized(always)
  return html`<ul class="tiles">${entries.map((entry) => memo(entry.name, tileProps(entry, state, actions), (props) => html`<${Tile} key=${entry.name} ...${props} />`))}</ul>`
}

/** @param {CatalogEntry} entry @param {State} state @param {Actions} actions @returns {TileProps} */
function tileProps(entry, state, actions) {
  const status = own(state.apps, entry.name)?.status
  const problem = status ? undefined : own(state.refusals, entry.name)?.problem
  const lastSeen = status ? lastSeenOf(state) : null
  return { entry, status, lastSeen, pending: own(state.pending, entry.name), problem, actions }
}

/** @param {{ all: string[], chosen: string | null, choose: (category: string | null) => void }} props */
const Categories = ({ all, chosen, choose }) => html`
  <div class="categories" role="group" aria-label="Category">
    ${[null, ...all].map(
      (name) => html`
      <button type="button" key=${name ?? ''} class="chip" aria-pressed=${chosen === name} onClick=${() => choose(name)}>${capital(name ?? 'all')}</button>
    `,
    )}
  </div>
`

/** @param {{ state: State, shown: number, actions: Actions }} props */
function CatalogNote({ state, shown, actions }) {
  const { catalog, catalogProblem } = state
  if (catalogProblem && !catalog) {
    return html`<p class="empty" role="alert">The catalog could not be read: ${catalogProblem.title}.
      ${' '}<button type="button" class="small" onClick=${actions.reloadCatalog}>Try again</button></p>`
  }
  if (!catalog) return html`<p class="empty" aria-busy="true">Reading the catalog…</p>`
  if (catalog.length === 0) return html`<p class="empty">The catalog is empty.</p>`
  return html`<p class="sr" role="status">${shown} of ${catalog.length} apps</p>
    ${shown === 0 && html`<p class="empty">No app matches.</p>`}`
}

/**
 * @typedef {object} TileProps
 * @property {CatalogEntry} entry
 * @property {Status | undefined} status undefined if the app is not in the list "Your apps"
 * @property {string | null} lastSeen time of the last news, or null while the page is up to date
 * @property {Pending | undefined} pending
 * @property {Problem | undefined} problem
 * @property {Actions} actions
 */

/**
 * Shows an app of the catalog. If the app has a card too, only the card has the attribute `data-app`, because
 * tests find an app by this attribute.
 * @param {TileProps} props
 */
function Tile({ entry, status, lastSeen, pending, problem, actions }) {
  const foot = useRef(/** @type {HTMLElement | null} */ (null))
  useFocusKept(foot, 'button, a')
  return html`
  <li class=${`tile ${entry.unavailable && !status ? 'is-unavailable' : ''}`} data-catalog=${entry.name}
      data-app=${status ? undefined : entry.name} data-status=${status ? undefined : 'none'}>
    <div class="tile-head">
      <${Avatar} name=${entry.name} label=${entry.display_name} />
      <div>
        <h3><a href=${appPath(entry.name)}>${entry.display_name}</a></h3>
        <p class="muted">${[entry.category && capital(entry.category), entry.version, entry.is_system && 'system'].filter(Boolean).join(' · ')}</p>
      </div>
    </div>
    <p class="tile-text">${entry.description}</p>
    ${problem && html`<${Refusal} app=${entry.name} problem=${problem} actions=${actions} />`}
    <div class="tile-foot" ref=${foot}><${TileFooter} entry=${entry} status=${status} lastSeen=${lastSeen} pending=${pending} actions=${actions} /></div>
  </li>
`
}

/** @param {Pick<TileProps, 'entry' | 'status' | 'lastSeen' | 'pending' | 'actions'>} props */
export function TileFooter({ entry, status, lastSeen, pending, actions }) {
  if (status) {
    return html`<${StatusPill} status=${status} lastSeen=${lastSeen} />
      <a class="tile-link" href=${appPath(entry.name)}>Show<span class="sr"> ${entry.display_name}</span></a>`
  }
  if (entry.unavailable) return html`<p class="reason"><${Icon} name="stopping" />${entry.unavailable}</p>`
  const busy = pending !== undefined
  return html`
    <button type="button" data-action="install" aria-disabled=${busy} aria-busy=${busy}
      aria-label=${`Install ${entry.display_name}`} onClick=${() => !busy && actions.request(entry.name, 'install')}>
      ${busy && html`<span class="spinner" aria-hidden="true"></span>`}${busy ? BUSY_LABELS.install : 'Install'}
    </button>
  `
}
