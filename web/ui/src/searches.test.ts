import { expect, test } from 'vitest'

import { busOf, byUnit, guessesOf, placeName, probable, searchTone, share, titleOf, took, type FoundDevice, type Search } from './searches'

const search = (more: Partial<Search>): Search => ({ id: 's1', kind: 'line', state: 'running', place: 'bus://rs485-1', started: '2026-01-01T00:00:00Z', done: 120, all: 480, left_seconds: 60, found: [], ...more })

const device: FoundDevice = { place: '', protocol: 'sml', unit: '', answer: '', raw: '', guesses: [] }

test('the lamp of a search', () => {
  const states = ['running', 'done', 'cancelled', 'failed'] as const
  const found = [device]
  expect(states.map((state) => searchTone(search({ state, found })))).toEqual(['busy', 'good', 'warn', 'bad'])
  expect(searchTone(search({ state: 'done', found: [] }))).toBe('warn')
})

test('how far it is', () => {
  expect(share(search({}))).toBe(25)
  expect(share(search({ done: 0, all: 0 }))).toBe(0)
  expect(share(search({ done: 481 }))).toBe(100)
  expect(share(search({ done: 470, state: 'done' }))).toBe(100)
  expect(share(search({ state: 'cancelled' }))).toBe(25)
})

test('how long it took', () => {
  expect(took(search({ ended: '2026-01-01T00:01:30Z' }))).toBe(90_000)
  expect(took(search({}))).toBe(0)
})

test('places as people call them', () => {
  expect(busOf(search({}))).toBe('rs485-1')
  expect(busOf(search({ place: '/dev/ttyS1' }))).toBeUndefined()
  expect([placeName('bus://rs485-1'), placeName('/dev/ttyS1'), placeName('10.0.0.0/24')]).toEqual(['rs485-1', '/dev/ttyS1', '10.0.0.0/24'])
})

test('protocols by their title', () => {
  expect(titleOf('modbus-rtu', { lines: [], serials: [], networks: [], protocols: [{ name: 'modbus-rtu', title: 'Modbus RTU', line: true, network: true, slow: false }], bauds: [] })).toBe('Modbus RTU')
  expect(titleOf('sml', undefined)).toBe('sml')
  expect([byUnit('modbus-tcp'), byUnit('mbus')]).toEqual([true, false])
})

test('the most likely guess comes first', () => {
  const guess = (profile: string, score: number) => ({ profile, score, title: '', why: '' })
  const found: FoundDevice = { ...device, guesses: [guess('a', 0.4), guess('b', 0.9)] }
  expect(guessesOf(found).map((guess) => guess.profile)).toEqual(['b', 'a'])
  expect(guessesOf(found).map(probable)).toEqual([true, false])
  expect(guessesOf(device)).toEqual([])
})
