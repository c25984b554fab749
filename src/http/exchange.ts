/** Sends the reply to one HTTP request, with workarounds for uWebSockets.js. */
import type { HttpResponse } from 'uWebSockets.js'
import type { ConnectionEvents, Sink } from '../relay/sendqueue.ts'
import { type Reply, type ResponseHeaders, type StreamReply, statusLine, withSecurity } from './reply.ts'

function writeHead(res: HttpResponse, status: number, headers: ResponseHeaders): void {
  res.writeStatus(statusLine(status))
  for (const [name, value] of Object.entries(withSecurity(headers))) res.writeHeader(name, value)
}

/**
 * Ends a reply without a body. The length of the omitted body is sent as a plain header, because
 * `res.endWithoutBody(length)` makes uWebSockets.js wait for that many bytes.
 */
function endWithoutBody(res: HttpResponse, body: string | Uint8Array | undefined): void {
  if (body !== undefined) res.writeHeader('content-length', String(Buffer.byteLength(body)))
  res.endWithoutBody()
}

/**
 * HTTP reply that is sent at once or as a stream. Must be created before the request callback of
 * uWebSockets.js returns. Otherwise no abort handler is registered in time, and uWebSockets.js ends the
 * process.
 */
export class Exchange implements Sink {
  ended = false
  readonly #res: HttpResponse
  readonly #onEnd: () => void
  #connection: ConnectionEvents | undefined

  constructor(res: HttpResponse, onEnd: () => void) {
    this.#res = res
    this.#onEnd = onEnd
    res.onAborted(() => this.#finish())
  }

  #finish(): void {
    if (this.ended) return
    this.ended = true
    this.#connection?.closed()
    this.#onEnd()
  }

  /** Sends a whole reply. For a HEAD request (`isHead`), sends only the headers. */
  reply({ status, headers, body }: Reply, isHead: boolean, closeAfter = false): void {
    if (this.ended) return
    this.#res.cork(() => {
      writeHead(this.#res, status, headers)
      if (isHead || status === 304) endWithoutBody(this.#res, status === 304 ? undefined : body)
      else this.#res.end(body, closeAfter)
    })
    this.#finish()
  }

  write(chunk: Uint8Array): boolean {
    if (this.ended) return false
    let acceptsMore = false
    // `cork` combines the parts of one write, which otherwise needs four system calls.
    this.#res.cork(() => {
      acceptsMore = this.#res.write(chunk)
    })
    return acceptsMore
  }

  end(): void {
    if (this.ended) return
    this.#res.cork(() => this.#res.end())
    this.#finish()
  }

  close(): void {
    if (!this.ended) this.#res.close()
  }

  #writable(): boolean {
    if (!this.ended) this.#connection?.writable()
    return true
  }

  /**
   * Registers the function that continues a stream when the connection accepts data again. This is a method
   * of its own, because a closure in a larger method would keep all variables of that method in memory.
   */
  #registerDrain(): void {
    // Without this handler, uWebSockets.js closes a stream some seconds after its connection was full, even
    // if all bytes were sent.
    this.#res.onWritable(() => this.#writable())
  }

  #begin({ headers, open }: StreamReply): void {
    writeHead(this.#res, 200, headers)
    this.#connection = open(this)
  }

  stream(reply: StreamReply, isHead: boolean): void {
    if (isHead) this.reply({ status: 200, headers: reply.headers, body: '' }, true)
    if (this.ended) return
    this.#registerDrain()
    this.#res.cork(() => this.#begin(reply))
    if (this.ended) this.#connection?.closed()
  }
}
