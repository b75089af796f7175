import { expect, test } from 'vitest'

import { drainOf } from './drain'
import { sample } from './sample'
import type { Uplink } from './status'

const status = sample()
const now = Date.parse(status.time)
const uplink = (more: Partial<Uplink>): Uplink => ({ ...status.uplinks[0]!, state: 'online', backlog: 500, rate: 10, routes: [], oldest: new Date(now - 60_000).toISOString(), drain_seconds: undefined, ...more }) as Uplink

test('what becomes of a backlog', () => {
  expect(drainOf(uplink({ backlog: 0 }), status)).toEqual({ state: 'nothing' })
  expect(drainOf(uplink({ oldest: new Date(now - 500).toISOString() }), status)).toEqual({ state: 'now' })
  expect(drainOf(uplink({ state: 'waiting' }), status)).toEqual({ state: 'offline' })
  expect(drainOf(uplink({ drain_seconds: 90 }), status)).toEqual({ state: 'in', milliseconds: 90_000 })
  expect(drainOf(uplink({}), status)).toEqual({ state: 'growing' })
  expect(drainOf(uplink({ rate: 0 }), status)).toEqual({ state: 'slow' })
  const lane = { name: 'all' as const, backlog: 500, paused_until: new Date(now + 3_600_000).toISOString() }
  expect(drainOf(uplink({ routes: [{ from: 'a', to: 'b', order: 'strict', bytes: 1, lanes: [lane] }] }), status)).toEqual({ state: 'held', milliseconds: 3_600_000 })
})
