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
