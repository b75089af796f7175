import { expect, test } from 'vitest'

import { choiceOf, type Choice } from './choice'
import { estimated } from './estimate'
import { protocols } from './sample'
import type { Offer } from './searches'

const offer: Offer = { lines: [{ bus: 'a', place: '/dev/ttyS1' }, { bus: 'far', place: '10.0.0.5:4001' }], serials: [], networks: [], protocols: protocols('modbus-rtu', 'dlt645'), bauds: [] }
const of = (change: Partial<Choice>) => estimated({ ...choiceOf(new URLSearchParams(), offer), settings: 'these', ...change }, offer)

test('every unit at every setting waits for an answer that does not come', () => {
  const one = of({ protocols: ['modbus-rtu'], bauds: [9600], parities: ['none'], units: '1' })
  expect(one?.questions).toBe(1)
  expect(one?.seconds).toBeCloseTo(0.314, 3)
  const many = of({ protocols: ['modbus-rtu'], bauds: [9600], parities: ['none', 'even'], units: '1-100' })
  expect(many?.questions).toBe(200)
  expect(many?.seconds).toBeCloseTo(200 * 0.31375, 3)
})

test('without a choice each protocol has its usual settings, and all units are asked', () => {
  expect(of({ settings: 'usual', protocols: ['modbus-rtu'], units: '' })?.questions).toBe(9 * 247)
  expect(of({ settings: 'usual', protocols: ['dlt645'] })?.questions).toBe(5 * 3)
  expect(of({ protocols: ['modbus-rtu'], bauds: [9600], parities: ['even'], units: '' })?.questions).toBe(247)
})

test('characters that a protocol fixes are not multiplied by the parities', () => {
  expect(of({ protocols: ['mbus'], bauds: [2400, 9600], parities: ['none', 'even', 'odd'] })?.questions).toBe(2 * 252)
  expect(of({ protocols: ['modbus-ascii'], bauds: [9600], parities: ['even'], units: '1' })?.questions).toBe(2)
})

test('a slow rate takes longer', () => {
  const at = (baud: number) => of({ protocols: ['modbus-rtu'], bauds: [baud], parities: ['even'] })?.seconds ?? 0
  expect(at(300)).toBeGreaterThan(2 * at(9600))
})

test('meters are called all at once, whatever the units', () => {
  const few = of({ protocols: ['dlt645'], bauds: [2400], parities: ['even'], units: '1' })
  expect(of({ protocols: ['dlt645'], bauds: [2400], parities: ['even'], units: '1-247' })).toEqual(few)
  expect(few?.questions).toBe(3)
})

test('a converter has one setting', () => {
  expect(of({ where: 'line:far', protocols: ['modbus-rtu'], units: '1-10' })).toEqual({ questions: 10, seconds: 3, least: false })
})

test('a protocol that this page does not know makes it a lower bound', () => {
  expect(of({ protocols: ['modbus-rtu', 'bacnet'] })?.least).toBe(true)
  expect(of({ protocols: ['bacnet'] })).toBeUndefined()
})

test('a network is tried many addresses at a time', () => {
  expect(of({ where: 'network', network: '10.0.0.0/24', ports: '502' })).toEqual({ questions: 254, seconds: 8, least: false })
  expect(of({ where: 'network', network: '10.0.0.7', ports: '502,503' })).toEqual({ questions: 2, seconds: 1, least: false })
  expect(of({ where: 'network', network: 'x' })).toBeUndefined()
})
