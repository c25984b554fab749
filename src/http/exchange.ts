/** One request and its answer on the wire: the part that deals with the moods of uWebSockets.js. */
import type { HttpResponse } from 'uWebSockets.js'
import type { Seat, Sink } from '../relay/outlet.ts'
import { type Headers, type Reply, type StreamReply, statusLine, withSecurity } from './reply.ts'

export type Exchange = ReturnType<typeof createExchange>

function writeHead(res: HttpResponse, status: number, headers: Headers): void {
  res.writeStatus(statusLine(status))
  for (const [name, value] of Object.entries(withSecurity(headers))) res.writeHeader(name, value)
}

/** Given the length, endWithoutBody() would wait for that many bytes, and the connection be of no more use. */
function endBare(res: HttpResponse, body: string | Uint8Array | undefined): void {
  if (body !== undefined) res.writeHeader('content-length', String(Buffer.byteLength(body)))
  res.endWithoutBody()
}

/** To be created before the handler returns, as an answer without an abort handler ends the process. */
export function createExchange(res: HttpResponse, onOver: () => void) {
  let over = false
  let seat: Seat | undefined

  function finish(): void {
    if (over) return
    over = true
    seat?.gone()
    onOver()
  }

  res.onAborted(finish)

  /** `isHead`: headers as for GET, no body. */
  function reply({ status, headers, body }: Reply, isHead: boolean, closeAfter = false): void {
    if (over) return
    res.cork(() => {
      writeHead(res, status, headers)
      if (isHead || status === 304) endBare(res, status === 304 ? undefined : body)
      else res.end(body, closeAfter)
    })
    finish()
  }

  const sink: Sink = {
    write(chunk) {
      if (over) return false
      let more = false
      // Outside of a cork one write costs four system calls.
      res.cork(() => {
        more = res.write(chunk)
      })
      return more
    },
    end() {
      if (over) return
      res.cork(() => res.end())
      finish()
    },
    close() {
      if (!over) res.close()
    },
  }

  function stream({ headers, open }: StreamReply, isHead: boolean): void {
    if (isHead) reply({ status: 200, headers, body: '' }, true)
    if (over) return
    // Without this handler uWebSockets.js closes a stream seconds after it was full once, even when it has drained.
    res.onWritable(() => {
      if (!over) seat?.writable()
      return true
    })
    res.cork(() => {
      writeHead(res, 200, headers)
      seat = open(sink)
    })
    if (over) seat?.gone()
  }

  return {
    reply,
    stream,
    /** Breaks the connection. */
    close: sink.close,
    get over() {
      return over
    },
  }
}
