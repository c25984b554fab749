import { useMemo, useRef, useState } from 'preact/hooks'
import { appPath } from '../state/route.js'
import { BUSY_LABELS, capital } from '../state/text.js'
import { byName, StatusPill } from './applist.js'
import { Refusal } from './failure.js'
import { useFocusKept } from './focus.js'
import { html } from './html.js'
import { Avatar, Icon } from './icon.js'
import { useMemoized } from './memo.js'

/** @import { CatalogEntry, Pending, Problem, State, Status, Actions } from '../types.js' */

/** @param {CatalogEntry} entry @param {string} words @param {string | null} category */
function matches(entry, words, category) {
  if (category !== null && entry.category !== category) return false
  const text =
    `${entry.name} ${entry.display_name} ${entry.description ?? ''} ${entry.category ?? ''}`.toLowerCase()
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}

/** @param {CatalogEntry} entry @param {State} state */
const fits = (entry, state) => entry.unavailable === null || state.apps[entry.name] !== undefined

/** @param {{ state: State, verbs: Actions }} props */
export function Catalog({ state, verbs }) {
  const [words, setWords] = useState('')
  const [category, setCategory] = useState(/** @type {string | null} */ (null))
  const entries = state.catalog ?? []
  const categories = useMemo(
    () => [...new Set(entries.map((entry) => entry.category))].filter((one) => one !== null).sort(),
    [state.catalog],
  )
  const shown = useMemo(
    () => entries.filter((entry) => matches(entry, words.trim(), category)).sort(byName),
    [state.catalog, words, category],
  )
  const not = shown.filter((entry) => !fits(entry, state))
  return html`
    <section aria-labelledby="catalog-title">
      <div class="section-head">
        <h2 id="catalog-title">Catalog ${entries.length > 0 && html`<span class="count">${entries.length}</span>`}</h2>
        <label class="search"><${Icon} name="search" /><span class="sr">Search the catalog</span>
          <input type="search" name="search" placeholder="Search" value=${words}
            onInput=${(/** @type {any} */ event) => setWords(event.target.value)} />
        </label>
      </div>
      ${categories.length > 1 && html`<${Categories} all=${categories} chosen=${category} choose=${setCategory} />`}
      <${CatalogNote} state=${state} shown=${shown.length} verbs=${verbs} />
      <${Tiles} entries=${shown.filter((entry) => fits(entry, state))} state=${state} verbs=${verbs} />
      ${not.length > 0 && html`<h3 class="tiles-title">Not on this host <span class="count">${not.length}</span></h3>`}
      <${Tiles} entries=${not} state=${state} verbs=${verbs} />
    </section>
  `
}

/** A tile tells little more than the status. */
const always = () => true

/** @param {{ entries: CatalogEntry[], state: State, verbs: Actions }} props */
function Tiles({ entries, state, verbs }) {
  const keep = useMemoized(always)
  return html`<ul class="tiles">${entries.map((entry) => keep(entry.name, tileProps(entry, state, verbs), (props) => html`<${Tile} key=${entry.name} ...${props} />`))}</ul>`
}

/** @param {CatalogEntry} entry @param {State} state @param {Actions} verbs @returns {TileProps} */
function tileProps(entry, state, verbs) {
  const status = state.apps[entry.name]?.status
  const problem = status ? undefined : state.refusals[entry.name]?.problem
  return { entry, status, pending: state.pending[entry.name], problem, verbs }
}

/** @param {{ all: string[], chosen: string | null, choose: (category: string | null) => void }} props */
const Categories = ({ all, chosen, choose }) => html`
  <div class="categories" role="group" aria-label="Category">
    ${[null, ...all].map(
      (one) => html`
      <button type="button" key=${one ?? ''} class="chip" aria-pressed=${chosen === one} onClick=${() => choose(one)}>${capital(one ?? 'all')}</button>
    `,
    )}
  </div>
`

/** @param {{ state: State, shown: number, verbs: Actions }} props */
function CatalogNote({ state, shown, verbs }) {
  const { catalog, catalogProblem } = state
  if (catalogProblem && !catalog) {
    return html`<p class="empty" role="alert">The catalog could not be read: ${catalogProblem.title}.
      ${' '}<button type="button" class="small" onClick=${verbs.reloadCatalog}>Try again</button></p>`
  }
  if (!catalog) return html`<p class="empty" aria-busy="true">Reading the catalog…</p>`
  if (catalog.length === 0) return html`<p class="empty">The catalog is empty.</p>`
  return html`<p class="sr" role="status">${shown} of ${catalog.length} apps</p>
    ${shown === 0 && html`<p class="empty">No app matches.</p>`}`
}

/**
 * @typedef {object} TileProps
 * @property {CatalogEntry} entry
 * @property {Status | undefined} status of the app, if it has one
 * @property {Pending | undefined} pending
 * @property {Problem | undefined} problem
 * @property {Actions} verbs
 */

/** An app is one element of the page with data-app: its card once it has a row, until then its tile.
 *  @param {TileProps} props */
function Tile({ entry, status, pending, problem, verbs }) {
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
    ${problem && html`<${Refusal} app=${entry.name} problem=${problem} verbs=${verbs} />`}
    <div class="tile-foot" ref=${foot}><${TileFoot} entry=${entry} status=${status} pending=${pending} verbs=${verbs} /></div>
  </li>
`
}

/** @param {Pick<TileProps, 'entry' | 'status' | 'pending' | 'verbs'>} props */
export function TileFoot({ entry, status, pending, verbs }) {
  if (status) {
    return html`<${StatusPill} status=${status} />
      <a class="tile-link" href=${appPath(entry.name)}>Show<span class="sr"> ${entry.display_name}</span></a>`
  }
  if (entry.unavailable) return html`<p class="reason"><${Icon} name="stopping" />${entry.unavailable}</p>`
  const busy = pending !== undefined
  return html`
    <button type="button" data-action="install" aria-disabled=${busy} aria-busy=${busy}
      aria-label=${`Install ${entry.display_name}`} onClick=${() => !busy && verbs.act(entry.name, 'install')}>
      ${busy && html`<span class="spinner" aria-hidden="true"></span>`}${busy ? BUSY_LABELS.install : 'Install'}
    </button>
  `
}
