/** One request and its answer on the wire: the part that deals with the moods of uWebSockets.js. */
import type { HttpResponse } from 'uWebSockets.js'
import type { ConnectionEvents, Sink } from '../relay/sendqueue.ts'
import { type Reply, type ResponseHeaders, type StreamReply, statusLine, withSecurity } from './reply.ts'

function writeHead(res: HttpResponse, status: number, headers: ResponseHeaders): void {
  res.writeStatus(statusLine(status))
  for (const [name, value] of Object.entries(withSecurity(headers))) res.writeHeader(name, value)
}

/** Given the length, endWithoutBody() would wait for that many bytes, and the connection be of no more use. */
function endBare(res: HttpResponse, body: string | Uint8Array | undefined): void {
  if (body !== undefined) res.writeHeader('content-length', String(Buffer.byteLength(body)))
  res.endWithoutBody()
}

/**
 * To be created before the handler returns, as an answer without an abort handler ends the process. It is the sink of
 * a stream too, and a class: there are ten thousand, and a closure for each of its verbs is what they would be made of.
 */
export class Exchange implements Sink {
  over = false
  readonly #res: HttpResponse
  readonly #onOver: () => void
  #seat: ConnectionEvents | undefined

  constructor(res: HttpResponse, onOver: () => void) {
    this.#res = res
    this.#onOver = onOver
    res.onAborted(() => this.#finish())
  }

  #finish(): void {
    if (this.over) return
    this.over = true
    this.#seat?.closed()
    this.#onOver()
  }

  /** `isHead`: headers as for GET, no body. */
  reply({ status, headers, body }: Reply, isHead: boolean, closeAfter = false): void {
    if (this.over) return
    this.#res.cork(() => {
      writeHead(this.#res, status, headers)
      if (isHead || status === 304) endBare(this.#res, status === 304 ? undefined : body)
      else this.#res.end(body, closeAfter)
    })
    this.#finish()
  }

  write(chunk: Uint8Array): boolean {
    if (this.over) return false
    let more = false
    // Outside of a cork one write costs four system calls.
    this.#res.cork(() => {
      more = this.#res.write(chunk)
    })
    return more
  }

  end(): void {
    if (this.over) return
    this.#res.cork(() => this.#res.end())
    this.#finish()
  }

  /** Breaks the connection. */
  close(): void {
    if (!this.over) this.#res.close()
  }

  #writable(): boolean {
    if (!this.over) this.#seat?.writable()
    return true
  }

  /** By itself, as a handler keeps alive whatever the closures beside it look at. */
  #listen(): void {
    // Without this handler uWebSockets.js closes a stream seconds after it was full once, even when it has drained.
    this.#res.onWritable(() => this.#writable())
  }

  #begin({ headers, open }: StreamReply): void {
    writeHead(this.#res, 200, headers)
    this.#seat = open(this)
  }

  stream(reply: StreamReply, isHead: boolean): void {
    if (isHead) this.reply({ status: 200, headers: reply.headers, body: '' }, true)
    if (this.over) return
    this.#listen()
    this.#res.cork(() => this.#begin(reply))
    if (this.over) this.#seat?.closed()
  }
}
