/** The HTTP server: guard, route, body, answer. */
import { App, type HttpResponse, type HttpRequest as UwsRequest } from 'uWebSockets.js'
import { Problem } from '../domain/problem.ts'
import type { RelayLog } from '../relay/streamsource.ts'
import { timeLimitError, withTimeout } from '../system/timeout.ts'
import { readBody } from './body.ts'
import { Exchange } from './exchange.ts'
import { createGuard, type GuardOptions } from './guard.ts'
import { type Listening, listenOn } from './listener.ts'
import { errorReply, problemReply } from './problem.ts'
import { copyRequest, type HttpRequest } from './request.ts'
import { createRouter, MethodNotAllowed, type Route } from './router.ts'

/** Milliseconds a request may take. A statement of ours is ended by PostgreSQL before that. */
const REQUEST_LIMIT_MS = 20_000
/** Milliseconds for which a stopping server waits for answers that are under way. */
const STOP_LIMIT_MS = 3000
/** A refused body up to this size is swallowed, so that the client reads the refusal; a larger one is cut off. */
const SWALLOW_LIMIT_BYTES = 16 * 1024 * 1024
const NO_BODY = Buffer.alloc(0)

export interface ServerOptions extends GuardOptions {
  /** 0: any free one. */
  port: number
  routes: readonly Route[]
  log: RelayLog
}

export type Server = ReturnType<typeof createServer>

export function createServer(options: ServerOptions) {
  const { log } = options
  const guard = createGuard(options)
  const router = createRouter(options.routes)
  const app = App()
  let listening: Listening | undefined
  let underWay = 0
  let onIdle: (() => void) | undefined

  function onOver(): void {
    underWay -= 1
    if (underWay === 0) onIdle?.()
  }

  async function answer(res: HttpResponse, request: HttpRequest, exchange: Exchange): Promise<void> {
    guard.check(request.method, request)
    const { handler, params } = router.match(request)
    const body = request.method === 'POST' ? await readBody(res, request) : NO_BODY
    const given = await withTimeout(
      Promise.resolve(handler({ request, params, body })),
      REQUEST_LIMIT_MS,
      timeLimitError('Answering'),
    )
    const isHead = request.method === 'HEAD'
    if ('open' in given) exchange.stream(given, isHead)
    else exchange.reply(given, isHead)
  }

  function refuse(request: HttpRequest, exchange: Exchange, error: unknown): void {
    if (exchange.over) return
    const isHead = request.method === 'HEAD'
    if (error instanceof MethodNotAllowed) {
      exchange.reply(problemReply(error, { allow: error.allow }), isHead)
      return
    }
    const tooLarge = error instanceof Problem && error.code === 'body_too_large'
    const cutOff =
      tooLarge && !(Number(request.contentLength) <= SWALLOW_LIMIT_BYTES && request.contentLength)
    exchange.reply(errorReply(error, log), isHead, cutOff)
  }

  app.any('/*', (res: HttpResponse, req: UwsRequest) => {
    underWay += 1
    const exchange = new Exchange(res, onOver)
    const request = copyRequest(req, new Uint8Array(res.getRemoteAddress()))
    answer(res, request, exchange).catch((error) => refuse(request, exchange, error))
  })

  return {
    /** @returns the port. @throws ListenError */
    async listen(): Promise<number> {
      listening = await listenOn(app, options.listen, options.port)
      return listening.port
    },
    /** Takes no more connections, lets answers under way finish, and closes what is left. */
    async stop(): Promise<void> {
      if (!listening) return
      listening.close()
      listening = undefined
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve
      })
      if (underWay > 0) await withTimeout(idle, STOP_LIMIT_MS)
      app.close()
    },
  }
}
