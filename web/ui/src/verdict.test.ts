import { expect, test } from 'vitest'

import { format } from './format'
import en from './lang/en'
import zh from './lang/zh'
import { sample } from './sample'
import type { Status } from './status'
import { findings } from './verdict'

const f = format('en', { on: 'on', off: 'off' })

function found(change: (s: Status) => void) {
  const status = sample()
  change(status)
  return findings(status, f)
}

const keys = (change: (s: Status) => void) => found(change).map((finding) => finding.key)

test('all is well', () => expect(keys(() => {})).toEqual(['allSent']))

test('without an uplink nothing claims to be in the cloud', () => expect(keys((s) => (s.uplinks = []))).toEqual(['allStored']))

test('messages on their way are no backlog', () => {
  expect(keys((s) => Object.assign(s.uplinks[0]!, { backlog: 12, oldest: '2026-01-01T00:59:59Z' }))).toEqual(['allSent'])
})

test('an outage comes before a silent device, and says what waits', () => {
  const all = found((s) => {
    Object.assign(s.uplinks[0]!, { state: 'waiting', backlog: 1234, last_error: 'i/o timeout' })
    s.devices[1]!.state = 'offline'
  })
  expect(all.map((x) => x.key)).toEqual(['uplinkDownWaiting', 'deviceOffline'])
  expect(all[0]).toMatchObject({ tone: 'bad', evidence: 'i/o timeout', params: { since: '30 sec', waiting: '1,234' } })
  expect(all[1]?.params).toMatchObject({ name: 'oven', since: '2 min' })
})

test('catching up says how long', () => {
  const all = found((s) => Object.assign(s.uplinks[0]!, { backlog: 600, oldest: '2026-01-01T00:59:00Z', drain_seconds: 6 }))
  expect(all[0]).toMatchObject({ key: 'uplinkDraining', tone: 'busy', params: { drain: '6 sec' } })
})

test('an uplink that loses ground is said to', () => {
  expect(keys((s) => Object.assign(s.uplinks[0]!, { backlog: 600, oldest: '2026-01-01T00:59:00Z' }))).toEqual(['uplinkBehind'])
})

test('a log that failed comes first of all', () => {
  expect(
    keys((s) => {
      s.uplinks[0]!.state = 'waiting'
      s.log.state = 'failed'
    })[0],
  ).toBe('logFailed')
})

test('a full disk is not a log at its bound, and a log in memory is not kept', () => {
  const log = (change: object) => keys((s) => Object.assign(s.log, change))
  expect(log({ state: 'full', bytes: 8000, limit: 8192 })).toEqual(['logFull'])
  expect(log({ state: 'full', bytes: 1000, limit: 8192 })).toEqual(['diskFull'])
  expect(log({ volatile: true })).toEqual(['logVolatile'])
})

test('several silent devices are one sentence', () => {
  const all = found((s) => s.devices.forEach((d) => (d.state = 'offline')))
  expect(all).toHaveLength(1)
  expect(all[0]?.params).toEqual({ count: '2', names: 'press, oven' })
})

test('every finding has its words in both languages, with the same gaps', () => {
  const gaps = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort()
  const walk = (a: object, b: object, path: string) => {
    for (const [key, text] of Object.entries(a)) {
      const other = (b as Record<string, unknown>)[key]
      if (typeof text === 'string') expect([...new Set(gaps(other as string))], path + key).toEqual([...new Set(gaps(text))])
      else walk(text as object, other as object, path + key + '.')
    }
  }
  walk(en, zh, '')
})

test('what is left behind is said until somebody decides', () => {
  const all = found((s) => {
    s.abandoned = [
      { uplink: 'old', from: 'readings/#', gone: true, cursor: 'uplink/old/readings/#', messages: 1234, bytes: 2048 },
      { uplink: 'cloud', from: 'alarms/#', gone: false, cursor: 'uplink/cloud/alarms/#', messages: 0, bytes: 0 },
    ]
  })
  expect(all.map((x) => x.key)).toEqual(['uplinkGone', 'routeGone'])
  expect(all[0]).toMatchObject({ tone: 'warn', params: { name: 'old', messages: '1,234', bytes: '2.0 KiB' } })
})

test('an uplink that its hours hold back is not behind', () => {
  const wait = (backfill: object, live: object) => (s: Status) =>
    Object.assign(s.uplinks[0]!, {
      backlog: 600, oldest: '2026-01-01T00:00:00Z',
      routes: [{ from: 'a', to: 'b', order: 'live-first', bytes: 1, lanes: [{ name: 'live', ...live }, { name: 'backfill', ...backfill }] }],
    })
  const later = { paused_until: '2026-01-01T03:00:00Z' }
  expect(found(wait({ backlog: 600, ...later }, { backlog: 0 }))[0]).toMatchObject({ key: 'uplinkPaused', tone: 'busy', params: { time: '2 hr', waiting: '600' } })
  expect(keys(wait({ backlog: 590, ...later }, { backlog: 10 }))).toEqual(['uplinkBehind'])
})

test('what was set aside is said beside what else is wrong', () => {
  expect(keys((s) => Object.assign(s.uplinks[0]!, { set_aside: 3 }))).toEqual(['uplinkAside'])
  expect(keys((s) => Object.assign(s.uplinks[0]!, { set_aside: 3, backlog: 600, oldest: '2026-01-01T00:59:00Z' }))).toEqual(['uplinkAside', 'uplinkBehind'])
})
