import { useState } from 'preact/hooks'
import { copyText } from './clipboard.js'
import { html } from './html.js'

/** @param {{ text: () => string, label: string, name: string }} props */
export function CopyButton({ text, label, name }) {
  const [result, setResult] = useState('')
  const copy = async () => setResult((await copyText(text())) ? 'Copied' : 'Not possible here')
  return html`
    <button type="button" class="small" aria-label=${name} onClick=${copy}>${result || label}</button>
    <span class="sr" role="status">${result}</span>
  `
}
