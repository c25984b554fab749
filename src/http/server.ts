/** HTTP server: checks each request, finds the route, reads the body and sends the reply. */
import { App, type HttpResponse, type HttpRequest as UwsRequest } from 'uWebSockets.js'
import { Problem } from '../domain/problem.ts'
import { whyNotStorable } from '../domain/text.ts'
import type { RelayLog } from '../relay/streamsource.ts'
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { compressed, isCompressible } from './asset.ts'
import { readBody } from './body.ts'
import { type ConnectionLimits, createConnectionLimit } from './connectionlimit.ts'
import { Exchange } from './exchange.ts'
import { createGuard, type GuardOptions } from './guard.ts'
import { type Listening, listenOn } from './listener.ts'
import { errorReply, problemReply } from './problem.ts'
import { copyRequest, type HttpRequest } from './request.ts'
import { createRouter, MethodNotAllowed, type Route } from './router.ts'

/**
 * Upper limit of the duration of a route's handler, in milliseconds. The limit is longer than the statement
 * timeout of PostgreSQL (15 s), so that PostgreSQL cancels a slow statement first.
 */
const REQUEST_LIMIT_MS = 20_000
/** Upper limit of the time in which a stopping server waits for pending replies, in milliseconds. */
const STOP_LIMIT_MS = 3000
/**
 * Size in bytes up to which a refused body is still received, because many clients read the reply only after
 * they have sent the whole body. For a larger body, the connection is closed.
 */
const DISCARD_LIMIT_BYTES = 16 * 1024 * 1024
const NO_BODY = Buffer.alloc(0)
/**
 * Length in characters to which the reply to an ambiguous request is padded. uWebSockets.js collects a reply
 * in a buffer of 16 KiB and goes on with the next request of the connection before it closes the connection.
 * A longer reply is sent at once, the connection is closed, and a hidden second request is not handled.
 */
const CLOSING_REPLY_LENGTH = 17 * 1024

/** Time in milliseconds in which refused connections are logged once. */
const REFUSAL_LOG_MS = 60_000

export interface ServerOptions extends GuardOptions {
  /** TCP port of the server. 0 means any free port. */
  port: number
  routes: readonly Route[]
  log: RelayLog
  connectionLimits?: Partial<ConnectionLimits> | undefined
}

export type Server = ReturnType<typeof createServer>

export function createServer(options: ServerOptions) {
  const { log } = options
  const guard = createGuard(options)
  const router = createRouter(options.routes)
  const app = App()
  const connections = createConnectionLimit(options.connectionLimits)
  let refusalLoggedAt = Number.NEGATIVE_INFINITY
  let listening: Listening | undefined
  let pending = 0
  let onIdle: (() => void) | undefined

  function onEnd(): void {
    pending -= 1
    if (pending === 0) onIdle?.()
  }

  const logRequest = ({ method, path }: HttpRequest, status: number) =>
    log.debug({ method, path, status }, 'HTTP request')

  /** @throws Problem invalid_request */
  function checkRequest({ ambiguity, query }: HttpRequest): void {
    if (ambiguity) throw new Problem('invalid_request', ambiguity, { hint: 'Send each header once.' })
    for (const text of [...query].flat()) {
      const reason = whyNotStorable(text)
      if (reason) throw new Problem('invalid_request', `The query ${reason}`, { hint: 'Leave it out.' })
    }
  }

  async function handle(res: HttpResponse, request: HttpRequest, exchange: Exchange): Promise<void> {
    checkRequest(request)
    guard.check(request.method, request)
    const { handler, params } = router.match(request)
    const body = request.method === 'POST' ? await readBody(res, request) : NO_BODY
    const reply = await withTimeout(
      Promise.resolve(handler({ request, params, body })),
      REQUEST_LIMIT_MS,
      timeLimitError('The HTTP request'),
    )
    const isHead = request.method === 'HEAD'
    logRequest(request, 'open' in reply ? 200 : reply.status)
    if ('open' in reply) exchange.stream(reply, isHead)
    else exchange.reply(isCompressible(reply) ? await compressed(request, reply) : reply, isHead)
  }

  function refuse(request: HttpRequest, exchange: Exchange, error: unknown): void {
    if (exchange.ended) return
    const isHead = request.method === 'HEAD'
    const isTooLarge = error instanceof Problem && error.code === 'body_too_large'
    const isLarge = !(Number(request.contentLength) <= DISCARD_LIMIT_BYTES && request.contentLength)
    const reply =
      error instanceof MethodNotAllowed ? problemReply(error, { allow: error.allow }) : errorReply(error, log)
    logRequest(request, reply.status)
    if (request.ambiguity === null) exchange.reply(reply, isHead, isTooLarge && isLarge)
    else exchange.reply({ ...reply, body: String(reply.body).padEnd(CLOSING_REPLY_LENGTH) }, false, true)
  }

  function logRefusal(address: string): void {
    if (performance.now() - refusalLoggedAt < REFUSAL_LOG_MS) return
    refusalLoggedAt = performance.now()
    log.warn({ address, open: connections.total }, 'connections are refused: too many are open')
  }

  function refuseConnection(res: HttpResponse): void {
    logRefusal(Buffer.from(res.getRemoteAddressAsText()).toString())
    res.close()
  }

  const port = () => listening?.port ?? options.port

  function mayOpen(res: HttpResponse): boolean {
    return connections.mayOpen(new Uint8Array(res.getRemoteAddress()), port())
  }

  /** Called with 1 for a new connection, and with a negative number for a closed one. */
  function onConnection(res: HttpResponse, change: number): void {
    if (change < 0) connections.closed(port())
    else if (!mayOpen(res)) refuseConnection(res)
  }

  app.filter(onConnection)
  app.any('/*', (res: HttpResponse, req: UwsRequest) => {
    pending += 1
    const exchange = new Exchange(res, onEnd)
    const request = copyRequest(req, new Uint8Array(res.getRemoteAddress()))
    handle(res, request, exchange).catch((error) => refuse(request, exchange, error))
  })

  return {
    /**
     * Starts to listen, and returns the port.
     * @throws ListenError if the port is in use or the address does not belong to this machine.
     */
    async listen(): Promise<number> {
      listening = await listenOn(app, options.listen, options.port)
      return listening.port
    },
    /** Stops accepting connections, waits for pending replies, and closes the remaining connections. */
    async stop(): Promise<void> {
      if (!listening) return
      listening.close()
      listening = undefined
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve
      })
      if (pending > 0) await withTimeout(idle, STOP_LIMIT_MS)
      app.close()
    },
  }
}
