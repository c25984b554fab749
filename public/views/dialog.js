import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { html } from './html.js'

/** @import { Verb, App } from '../types.js' */

/** @param {{ title: string, close: () => void, children?: unknown }} props */
export function Dialog({ title, close, children }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null))
  const isRemoved = useRef(false)
  // A layout effect runs before the next key press, which must already reach the dialog.
  useLayoutEffect(() => {
    const dialog = box.current
    dialog?.showModal()
    /** @type {HTMLElement | null | undefined} */
    const first = dialog?.querySelector('[data-focus]')
    first?.focus()
    return () => {
      // Only `close` returns the focus to the clicked button. A removal of the open dialog loses the focus.
      isRemoved.current = true
      dialog?.close()
    }
  }, [])
  return html`
    <dialog ref=${box} onClose=${() => !isRemoved.current && close()} aria-label=${title}>
      <h2>${title}</h2>
      ${children}
    </dialog>
  `
}

/**
 * `purge` opens the dialog that deletes the data of the app too.
 * @param {{ app: App, close: () => void, confirm: (action: Verb) => void, purge: () => void }} props
 */
export const UninstallDialog = ({ app, close, confirm, purge }) => html`
  <${Dialog} title=${`Uninstall ${app.display_name}?`} close=${close}>
    <p>The app is switched off and taken off this host. <strong>Its data is kept</strong>: installing it again brings everything back.</p>
    ${
      app.controls?.purge?.allowed &&
      html`
      <p class="muted">Not needed any more? <button type="button" class="link danger-text" data-action="purge" onClick=${purge}>Delete its data too…</button></p>
    `
    }
    <div class="dialog-buttons">
      <button type="button" onClick=${close} data-focus>Keep it</button>
      <button type="button" class="primary" data-confirm="uninstall" onClick=${() => confirm('uninstall')}>Uninstall</button>
    </div>
  <//>
`

/**
 * Shows the dialog that deletes an app with all data. The user must type the app's name first.
 * @param {{ app: App, close: () => void, confirm: (action: Verb) => void }} props
 */
export function PurgeDialog({ app, close, confirm }) {
  const [typed, setTyped] = useState('')
  const matches = typed.trim() === app.name
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault()
    if (matches) confirm('purge')
  }
  return html`
    <${Dialog} title=${`Delete ${app.display_name} with all its data?`} close=${close}>
      <form onSubmit=${submit}>
        <p>Everything this app has stored on this host is deleted. <strong>This cannot be undone.</strong></p>
        <label>Type <code>${app.name}</code> to confirm
          <input name="confirm-name" value=${typed} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)}
            autocomplete="off" autocapitalize="off" spellcheck=${false} data-focus />
        </label>
        <div class="dialog-buttons">
          <button type="button" onClick=${close}>Keep it</button>
          <button type="submit" class="danger solid" data-confirm="purge" disabled=${!matches}>Delete for ever</button>
        </div>
      </form>
    <//>
  `
}
