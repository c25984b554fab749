import type { Guard } from './guard.ts'

export const HTTP_GUARDS: readonly Guard[] = [
  {
    name: 'a request under a foreign name in the header Host is refused',
    file: 'src/http/guard.ts',
    changes: [['      checkHost(headers.host)\n', '']],
    tests: ['tests/http/guard.test.ts'],
  },
  {
    name: 'a request of a page of another origin is refused',
    file: 'src/http/guard.ts',
    changes: [['      checkOrigin(headers.host, headers.origin)\n', '']],
    tests: ['tests/http/guard.test.ts'],
  },
  {
    name: 'a POST request that a browser marks as cross-site is refused',
    file: 'src/http/guard.ts',
    changes: [["if (method === 'POST' && site !== ''", "if (method === 'PUT' && site !== ''"]],
    tests: ['tests/http/guard.test.ts'],
  },
  {
    name: 'a repeated header Host, Content-Length or Transfer-Encoding is refused',
    file: 'src/http/request.ts',
    changes: [['if (repeated) return', 'if (repeated === null) return']],
    tests: ['tests/http/refusals.test.ts'],
  },
  {
    name: 'a body has an upper limit of its size',
    file: 'src/http/body.ts',
    changes: [
      ['if (Number(request.contentLength) > BODY_LIMIT_BYTES)', 'if (Number(request.contentLength) > 1e9)'],
      ['if (size > BODY_LIMIT_BYTES)', 'if (size > 1e9)'],
    ],
    tests: ['tests/http/refusals.test.ts', 'tests/http/api.test.ts'],
  },
  {
    name: 'a body with a text that PostgreSQL cannot store is refused',
    file: 'src/http/body.ts',
    changes: [['    if (reason) throw', '    if (reason === "") throw']],
    tests: ['tests/http/refusals.test.ts'],
  },
  {
    name: 'facts in the page cannot end the script element that contains them',
    file: 'src/http/page.ts',
    changes: [[".replaceAll('<', '\\\\u003c')", '']],
    tests: ['tests/http/page.test.ts'],
  },
  {
    name: 'the streams per address have an upper limit',
    file: 'src/http/admission.ts',
    changes: [['>= limits.perAddress', '>= limits.total']],
    tests: ['tests/http/admission.test.ts'],
  },
  {
    name: 'some streams are reserved for clients on this machine',
    file: 'src/http/admission.ts',
    changes: [['limits.total : limits.total - limits.reserve', 'limits.total : limits.total']],
    tests: ['tests/http/admission.test.ts'],
  },
  {
    name: 'the header X-Forwarded-For counts only from a proxy on this machine',
    file: 'src/http/admission.ts',
    changes: [['if (!isLoopback(address, key)) return { key, isLocal: false }\n', '']],
    tests: ['tests/http/admission.test.ts'],
  },
  {
    name: 'a body has an upper limit of its nesting',
    file: 'src/http/body.ts',
    changes: [['    if (depth > DEPTH_LIMIT) throw tooDeep()\n', '']],
    tests: ['tests/http/nesting.test.ts', 'tests/http/refusals.test.ts'],
  },
  {
    name: 'the connections per address have an upper limit',
    file: 'src/http/addresscount.ts',
    changes: [['if (hasTable && count > perAddress) {', 'if (hasTable && count < 0) {']],
    tests: ['tests/http/connections.test.ts', 'tests/http/connectionlimit.test.ts'],
  },
  {
    name: 'a stream of a database that accepts no changes is stale',
    file: 'src/relay/relay.ts',
    changes: [
      [
        '    if (active) onStale()\n    else if',
        '    if (!active && !tail.stale) onFresh(true)\n    else if',
      ],
    ],
    tests: ['tests/http/readonly.test.ts', 'tests/http/standby.test.ts'],
  },
]
