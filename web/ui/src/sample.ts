import type { Schemas } from './schemas'
import type { Status } from './status'

// sample is a gateway in good order, for tests; a test changes what it is about.
export function sample(): Status {
  return {
    gateway: 'line-3',
    version: '1',
    started: '2026-01-01T00:00:00Z',
    time: '2026-01-01T01:00:00Z',
    devices: [
      { name: 'press', driver: 'modbus', address: 'tcp://a', state: 'online', since: '2026-01-01T00:00:00Z', polls: 1, failures: 0, readings: 1, seq: 1, interval_ms: 1000, points_total: 0, points_failing: 0, lamps: { port: 'good', frames: 'good', values: 'good' }, points: [] },
      { name: 'oven', driver: 'modbus', address: 'tcp://b', state: 'online', since: '2026-01-01T00:58:00Z', polls: 1, failures: 0, readings: 1, seq: 1, interval_ms: 1000, points_total: 0, points_failing: 0, lamps: { port: 'good', frames: 'good', values: 'good' }, points: [] },
    ],
    uplinks: [
      { name: 'cloud', driver: 'mqtt', address: 'mqtt://c', state: 'online', since: '2026-01-01T00:59:30Z', tries: 1, failed: 0, backlog: 0, backlog_bytes: 0, in_flight: 0, sent: 1, repeated: 0, set_aside: 0, stalls: 0, looped: 0, rate: 20,
        routes: [{ from: 'readings/#', to: '{topic}', order: 'strict', bytes: 0, lanes: [{ name: 'all', backlog: 0 }] }] },
    ],
    abandoned: [],
    alarms: { active: 0, critical: 0, warning: 0, info: 0, unacknowledged: 0, excess: 0 },
    log: { state: 'ok', messages: 1, bytes: 1, limit: 1024, first: 1, last: 1, rate: 20, dropped: 0, volatile: false, cursors: [], cursors_total: 0, cursors_expired: 0 },
    mqtt: { listen: [], connections: 0, received: 0, delivered: 0, dropped: 0, unreadable: 0, sleeping: 0, unwelcome: 0, excess: 0 },
  }
}

// protocols are some that a search knows.
export const protocols = (...names: string[]): Schemas['SearchProtocol'][] => names.map((name) => ({ name, title: name, line: name !== 'modbus-tcp', network: name === 'modbus-tcp', slow: false }))
