/** Explains a failed `npm install` with the lines that npm printed. */

const NETWORK =
  /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT)$/
/** Lines of npm that don't describe the error. */
const NOT_A_REASON = /^(code|syscall|path|errno|command|A complete log|An unknown git error)\b/
const EXIT_NOT_FOUND = 127

/**
 * Returns a sentence for the operator.
 * @param spec the installed package with its version.
 * @param code exit code of npm, or a text if npm has none.
 * @param output last lines of npm's output.
 */
export function explainFailure(spec: string, code: number | string, output: string[]): string {
  const errors = output
    .filter((line) => /^npm (error|ERR!)/.test(line))
    .map((line) => line.replace(/^npm \S+ ?/, ''))
  const kind = errors.find((line) => line.startsWith('code '))?.slice('code '.length)
  if (code === EXIT_NOT_FOUND) return `npm can't be started: ${output.at(-1) ?? 'not found'}`
  if (kind === 'E404' || kind === 'ETARGET') return notInRegistry(spec, missingIn(errors) ?? spec)
  if (kind && NETWORK.test(kind)) return `the npm registry can't be reached (${kind})`
  const reasons = errors.filter((line) => !NOT_A_REASON.test(line) && line.trim() !== '')
  const reason = reasons.find((line) => line.startsWith('fatal: ')) ?? reasons[0]
  return `npm could not install ${spec} (${kind ?? `exit code ${code}`})${reason ? `: ${reason}` : ''}`
}

function notInRegistry(spec: string, missing: string): string {
  const what = missing === spec ? spec : `${missing}, which ${spec} needs,`
  return `${what} is not in the npm registry`
}

/** Returns the name and version range of the package that the registry lacks. */
function missingIn(errors: string[]): string | undefined {
  for (const line of errors) {
    const found =
      /^404\s+'(.+)' is not in /.exec(line) ??
      /^404\s+The requested resource '(.+)' could not be found/.exec(line) ??
      /No matching version found for (\S.*?)\.?$/.exec(line)
    if (found) return found[1]
  }
  const url = errors.map((line) => /Not Found - GET (\S+)/.exec(line)?.[1]).find(Boolean)
  return url && decodeURIComponent(url)
}
