import { useState } from 'preact/hooks'
import { copyText } from './clipboard.js'
import { html } from './html.js'

/** Says that it worked until it is used again. @param {{ text: () => string, label: string, name: string }} props */
export function Copy({ text, label, name }) {
  const [said, setSaid] = useState('')
  const press = async () => setSaid((await copyText(text())) ? 'Copied' : 'Not possible here')
  return html`
    <button type="button" class="small" aria-label=${name} onClick=${press}>${said || label}</button>
    <span class="sr" role="status">${said}</span>
  `
}
