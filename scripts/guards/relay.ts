import type { Guard } from './guard.ts'

export const RELAY_GUARDS: readonly Guard[] = [
  {
    name: 'an id of an event that does not exist yet resets the client',
    file: 'src/relay/eventid.ts',
    changes: [["  if (position.seq > head.seq) return 'future_id'\n", '']],
    tests: ['tests/relay/resume.test.ts'],
  },
  {
    name: 'an id of an event that was pruned resets the client',
    file: 'src/relay/eventid.ts',
    changes: [["  if (position.seq < head.prunedTo) return 'older_than_retention'\n", '']],
    tests: ['tests/relay/resume.test.ts'],
  },
  {
    name: 'an id of another epoch resets the client',
    file: 'src/relay/eventid.ts',
    changes: [["  if (position.epoch !== head.epoch) return 'unknown_epoch'\n", '']],
    tests: ['tests/relay/resume.test.ts'],
  },
  {
    name: 'events of another epoch never follow events of the old one',
    file: 'src/relay/tail.ts',
    changes: [['if (events.some(({ epoch }) => epoch !== head?.epoch))', 'if (events.length < 0)']],
    tests: ['tests/relay/relay.test.ts', 'tests/relay/resume.test.ts'],
  },
  {
    name: 'events that were pruned before the relay read them reset the clients',
    file: 'src/relay/tail.ts',
    changes: [['if (events[0] && events[0].pruned_to > cursor)', 'if (events.length < 0)']],
    tests: ['tests/relay/relay.test.ts', 'tests/relay/resume.test.ts'],
  },
  {
    name: 'a snapshot and the events after it belong to the same epoch',
    file: 'src/relay/snapshot.ts',
    changes: [['if (encoded.epoch === tail.head?.epoch) return encoded', 'return encoded']],
    tests: ['tests/relay/relay.test.ts', 'tests/relay/resume.test.ts'],
  },
  {
    name: 'old events are read once for each client',
    file: 'src/relay/catchup.ts',
    changes: [['    if (readingBacklog.has(client)) return\n', '']],
    tests: ['tests/relay/resume.test.ts', 'tests/relay/backpressure.test.ts'],
  },
  {
    name: 'an event of the ring buffer is evicted before it is overwritten',
    file: 'src/relay/ring.ts',
    changes: [['while (frames.size > 0 && isOverwritten(startOf(frames.oldest))) evictOldest()', '']],
    tests: ['tests/relay/ring.test.ts'],
  },
  {
    name: 'the ring buffer has an upper limit of events',
    file: 'src/relay/ring.ts',
    changes: [['    if (frames.size === limits.frames) evictOldest()\n', '']],
    tests: ['tests/relay/ring.test.ts'],
  },
  {
    name: 'a client that is slower than the ring buffer is reset',
    file: 'src/relay/client.ts',
    changes: [["        reset(client, 'too_slow')\n        return\n", '']],
    tests: ['tests/relay/backpressure.test.ts', 'tests/http/backpressure.test.ts'],
  },
  {
    name: 'a client whose connection accepts no data is closed',
    file: 'src/relay/client.ts',
    changes: [['      for (const client of stuck) close(client)\n', '']],
    tests: ['tests/relay/backpressure.test.ts', 'tests/http/backpressure.test.ts'],
  },
  {
    name: 'a queue of a client does not grow by broadcasts',
    file: 'src/relay/client.ts',
    changes: [
      ['for (const client of all) if (isIdle(client.queue)) send(', 'for (const client of all) send('],
    ],
    tests: ['tests/relay/backpressure.test.ts', 'tests/http/backpressure.test.ts'],
  },
]
