/**
 * Parses catalog files within a time limit. Some texts take the YAML library minutes, for example 250 KiB of
 * lines with an alias each.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { type ParsedFile, parseCatalogFile } from '../domain/catalogfile.ts'
import { withTimeout } from '../system/timeout.ts'

/**
 * Upper limit in characters of a text that is parsed without a thread, because a thread takes 0.3 s to start.
 * The slowest known text of this length takes 0.2 s.
 */
const MAX_QUICK_CHARACTERS = 4_096
const PARSE_LIMIT_MS = 3_000
/** Time limit for the start of the thread, in milliseconds. Many programs may be starting after a boot. */
const START_LIMIT_MS = 20_000
const MAX_MEMORY_MB = 256

export interface CatalogParser {
  parse(content: string, filename: string): Promise<ParsedFile>
  stop(): Promise<void>
}

/** @param limitMs time limit of a file in milliseconds, without the start of the thread. */
export function createCatalogParser(limitMs = PARSE_LIMIT_MS): CatalogParser {
  let worker: Worker | null = null

  async function start(): Promise<Worker> {
    const started = new Worker(new URL('./catalogworker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY_MB },
    })
    worker = started
    await withTimeout(once(started, 'message'), START_LIMIT_MS, () => new Error('no thread could be started'))
    return started
  }

  async function stop(): Promise<void> {
    const ending = worker
    worker = null
    await ending?.terminate()
  }

  async function parseInThread(content: string, filename: string): Promise<ParsedFile> {
    try {
      const thread = worker ?? (await start())
      const answer = once(thread, 'message') as Promise<[ParsedFile]>
      thread.postMessage({ content, filename })
      const tooLong = () => new Error(`takes longer than ${limitMs / 1000} s`)
      return (await withTimeout(answer, limitMs, tooLong))[0]
    } catch (error) {
      await stop()
      return refused(filename, error as Error)
    }
  }

  return {
    /** Parses a file. An unexpected error of the parser is an error of this file only. */
    async parse(content, filename) {
      if (content.length > MAX_QUICK_CHARACTERS) return parseInThread(content, filename)
      try {
        return parseCatalogFile(content, filename)
      } catch (error) {
        return refused(filename, error as Error)
      }
    },
    stop,
  }
}

const refused = (filename: string, { message }: Error): ParsedFile => ({
  error: { file: filename, line: 1, reason: `can't be parsed: ${message}` },
})
