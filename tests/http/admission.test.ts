/** Tests of the limits on the number of open event streams. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Caller, callerOf, createAdmission } from '../../src/http/admission.ts'
import { until } from '../relay/fakes.ts'
import { startAgent, untilOk } from './support.ts'

const connection = { writable() {}, closed() {} }
const reply = { headers: {}, open: () => connection }
const remote = (key: string): Caller => ({ key, isLocal: false })
const operator: Caller = { key: '127.0.0.1', isLocal: true }

function openStream(admission: ReturnType<typeof createAdmission>, caller: Caller) {
  admission.check(caller)
  return admission.counted(caller, reply).open({ write: () => true, end() {}, close() {} })
}

test('a client address can open streams up to its limit, and a further stream after one was closed', () => {
  const admission = createAdmission({ perAddress: 2, total: 10, reserve: 0 })
  const first = openStream(admission, remote('a'))
  openStream(admission, remote('a'))
  assert.throws(() => openStream(admission, remote('a')), { code: 'too_many_clients' })
  openStream(admission, remote('b'))
  first.closed()
  first.closed()
  openStream(admission, remote('a'))
  assert.equal(admission.total, 3)
})

test('at the limit of streams, a client on the machine may still open a stream', () => {
  const admission = createAdmission({ perAddress: 1, total: 4, reserve: 2 })
  const streams = [openStream(admission, remote('a')), openStream(admission, remote('b'))]
  assert.throws(() => openStream(admission, remote('c')), { code: 'too_many_clients' })
  streams.push(openStream(admission, operator), openStream(admission, operator))
  assert.throws(() => openStream(admission, operator), { code: 'too_many_clients' })
  for (const stream of streams) stream.closed()
  assert.equal(admission.addresses, 0)
})

for (const [name, address, forwarded, expected] of [
  ['another machine', '0a000005', '127.0.0.1', { key: '10.0.0.5', isLocal: false }],
  ['this machine', '7f000001', '', { key: '127.0.0.1', isLocal: true }],
  ['this machine by IPv6', `${'00'.repeat(15)}01`, '', { key: '00'.repeat(8), isLocal: true }],
  ['IPv4 mapped to IPv6', `${'00'.repeat(10)}ffff0a000005`, '', { key: '10.0.0.5', isLocal: false }],
  ['an IPv6 network', `20010db8000000010${'1'.repeat(15)}`, '', { key: '20010db800000001', isLocal: false }],
  ['a client of a local proxy', '7f000001', '127.0.0.1, 10.0.0.9', { key: '10.0.0.9', isLocal: false }],
  ['a proxied IPv6 network', '7f000001', '2001:db8::1:0:0:9', { key: '20010db800000000', isLocal: false }],
  [
    'a proxied address and port',
    '7f000001',
    '[2001:db8::9]:443',
    { key: '20010db800000000', isLocal: false },
  ],
  ['a proxied mapped address', '7f000001', '::ffff:10.0.0.9', { key: '10.0.0.9', isLocal: false }],
  ['a proxied name', '7f000001', 'unknown', { key: 'for unknown', isLocal: false }],
] as const) {
  test(`the caller is identified by its address: ${name}`, () => {
    assert.deepEqual(callerOf(Buffer.from(address, 'hex'), forwarded), expected)
  })
}

test('a stream above the limit of an address is refused, and other addresses may open streams', async (t) => {
  const agent = await startAgent(t, { admissionLimits: { perAddress: 2 } })
  const [mine, other] = [{ 'x-forwarded-for': '10.0.0.1' }, { 'x-forwarded-for': '10.0.0.2' }]
  const first = await agent.stream('/api/events', mine)
  await agent.stream('/api/events', mine)
  const refused = await agent.get('/api/events', mine)
  assert.equal(refused.status, 503)
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  assert.match((await refused.json()).detail, /2 streams/)
  assert.equal((await agent.stream('/api/events', other)).answer.status, 200)
  assert.equal((await agent.stream()).answer.status, 200)
  first.close()
  await until(() => first.ended())
  const abort = new AbortController()
  await untilOk(() => fetch(`${agent.url}/api/events`, { headers: mine, signal: abort.signal }))
  abort.abort()
})
