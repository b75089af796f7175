import { expect, test } from 'vitest'

import { draftOf, editsOf, forNextBox, judgeClock, nameFor, nextStep, opens, put, reminds, withCandidates, type Checklist, type Time } from './setup'
import type { Status } from './status'

const list = (done: Partial<Checklist> = {}): Checklist => ({ password: true, time: false, device: false, uplink: false, start: false, skipped: [], dismissed: false, ...done })
const status = (devices: number, uplinks: number) => ({ devices: Array(devices).fill({}), uplinks: Array(uplinks).fill({}) }) as unknown as Status

test('the next step is the first that is neither done nor left for later', () => {
  expect(nextStep(list())).toBe('time')
  expect(nextStep(list({ time: true, skipped: ['device'] }))).toBe('uplink')
  expect(nextStep(list({ time: true, device: true, uplink: true, start: true }))).toBeUndefined()
})

test('the page begins with the first run on a gateway that has nothing to do', () => {
  expect(opens(list(), status(0, 0))).toBe(true)
  expect(opens(list(), status(1, 0))).toBe(false)
  expect(opens(list({ dismissed: true }), status(0, 0))).toBe(false)
  expect(reminds(list(), status(1, 1))).toBe(true)
  expect(reminds(list({ time: true, device: true, uplink: true, start: true }), status(1, 1))).toBe(false)
})

test('a clock that is right and kept right is passed by', () => {
  const now = Date.parse('2026-11-23T20:00:00Z')
  const time = (change: Partial<Time> = {}): Time => ({ now: '2026-11-23T20:00:00Z', zone: 'Etc/UTC', synchronised: true, source: 'ntp', can_set: true, ...change })
  expect(judgeClock(time(), now, 'UTC')).toEqual({ fine: true, apart: 0, zone: true })
  expect(judgeClock(time(), now + 6000, 'UTC').fine).toBe(false)
  expect(judgeClock(time({ synchronised: false }), now, 'UTC').fine).toBe(false)
  expect(judgeClock(time(), now, 'Asia/Shanghai').fine).toBe(false)
  // Where nothing can be done about it, a clock that agrees is not asked about.
  expect(judgeClock(time({ synchronised: false, can_set: false }), now + 4000, 'Asia/Shanghai').fine).toBe(true)
  expect(judgeClock(time({ can_set: false }), now - 6000, 'UTC').fine).toBe(false)
})

test('devices get names that are free, and share the line that they are on', () => {
  expect(nameFor('Press 7!', ['press-7'])).toBe('press-7-2')
  expect(nameFor('水表', [])).toBe('device')
  const line = { name: 'line', serial: '/dev/ttyUSB0', baud: 9600 }
  const draft = withCandidates(
    { devices: [], buses: [] },
    [
      { device: { unit: 1, name: 'meter', address: 'rtu://line' }, bus: line },
      { device: { unit: 2, name: 'meter', address: 'rtu://line' }, bus: line },
      { device: { name: 'other', address: 'rtu://line' }, bus: { name: 'line', serial: '/dev/ttyUSB1' } },
    ],
    ['meter'],
  )
  expect(draft.devices.map((d) => [d.name, d.address])).toEqual([['meter-2', 'rtu://line'], ['meter-3', 'rtu://line'], ['other', 'rtu://line-2']])
  expect(Object.keys(draft.devices[0] ?? {})).toEqual(['name', 'unit', 'address'])
  expect(draft.buses.map((b) => b.name)).toEqual(['line', 'line-2'])
  expect(editsOf({ ...draft, uplink: { name: 'cloud' } }).map((e) => e.path.join('.'))).toEqual(['buses.line', 'buses.line-2', 'devices.meter-2', 'devices.meter-3', 'devices.other', 'uplinks.cloud'])
})

test('a draft of another form is none', () => {
  expect(draftOf(undefined)).toEqual({ devices: [], buses: [] })
  expect(draftOf(list({ draft: { devices: 'many', uplink: { name: 'cloud' } } } as Partial<Checklist>))).toEqual({ devices: [], buses: [], uplink: { name: 'cloud' } })
})

test('a value is put where it belongs', () => {
  expect(put({ name: 'cloud', tls: { ca: 'a' } }, ['tls', 'key'], '/k')).toEqual({ name: 'cloud', tls: { ca: 'a', key: '/k' } })
  expect(put({ name: 'cloud' }, ['password_file'], '/p')).toEqual({ name: 'cloud', password_file: '/p' })
})

test('the file for the next box says at its top what is different there', () => {
  const text = '# my_file: remark\ngateway:\n  name: line-3\ndevices:\n  - name: press\nuplinks:\n  - name: cloud\n    password_file: /p\n    token_file: ""\n    secret_key: ***\n'
  const file = forNextBox(text, (blanks) => ['# fill in', ...blanks.map((b) => `# ${b.line}: ${b.text}`)])
  expect(file.split('\n').slice(0, 4)).toEqual(['# fill in', '# 7: name: line-3', '# 12: password_file: /p', '# 14: secret_key: ***'])
  expect(file.split('\n')[11]).toBe('    password_file: /p')
})
