/** Who gets a stream when many want one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Caller, callerOf, createAdmission } from '../../src/http/admission.ts'
import { until } from '../relay/fakes.ts'
import { startAgent, untilOk } from './support.ts'

const seat = { writable() {}, closed() {} }
const reply = { headers: {}, open: () => seat }
const stranger = (key: string): Caller => ({ key, isLocal: false })
const operator: Caller = { key: '127.0.0.1', isLocal: true }

function hold(admission: ReturnType<typeof createAdmission>, caller: Caller) {
  admission.check(caller)
  return admission.counted(caller, reply).open({ write: () => true, end() {}, close() {} })
}

test('one address cannot take all seats, and gets one back when it leaves one', () => {
  const admission = createAdmission({ perAddress: 2, total: 10, reserve: 0 })
  const first = hold(admission, stranger('a'))
  hold(admission, stranger('a'))
  assert.throws(() => hold(admission, stranger('a')), { code: 'too_many_clients' })
  hold(admission, stranger('b'))
  first.closed()
  first.closed()
  hold(admission, stranger('a'))
  assert.equal(admission.total, 3)
})

test('when all seats are taken the operator at the machine still finds one', () => {
  const admission = createAdmission({ perAddress: 1, total: 4, reserve: 2 })
  const seats = [hold(admission, stranger('a')), hold(admission, stranger('b'))]
  assert.throws(() => hold(admission, stranger('c')), { code: 'too_many_clients' })
  seats.push(hold(admission, operator), hold(admission, operator))
  assert.throws(() => hold(admission, operator), { code: 'too_many_clients' })
  for (const one of seats) one.closed()
  assert.equal(admission.addresses, 0)
})

for (const [name, address, forwarded, expected] of [
  ['a neighbour', '0a000005', '127.0.0.1', { key: '10.0.0.5', isLocal: false }],
  ['who sits at the machine', '7f000001', '', { key: '127.0.0.1', isLocal: true }],
  ['the same, by IPv6', `${'00'.repeat(15)}01`, '', { key: '00'.repeat(8), isLocal: true }],
  ['IPv4 within IPv6', `${'00'.repeat(10)}ffff0a000005`, '', { key: '10.0.0.5', isLocal: false }],
  [
    'a network of IPv6',
    `20010db8000000010${'1'.repeat(15)}`,
    '',
    { key: '20010db800000001', isLocal: false },
  ],
  ['behind our proxy', '7f000001', '127.0.0.1, 10.0.0.9', { key: 'for 10.0.0.9', isLocal: false }],
] as const) {
  test(`an address is counted as what it is: ${name}`, () => {
    assert.deepEqual(callerOf(Buffer.from(address, 'hex'), forwarded), expected)
  })
}

test('a stream too many of one address is told to come later, and others still get theirs', async (t) => {
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
