import { expect, test } from 'vitest'

import { addresses, asksUnits, choiceOf, numbersOf, queryOf, serial, wantedOf, wrong, type Choice } from './choice'
import { addressOf } from './route'
import { protocols } from './sample'
import type { Offer } from './searches'

const offer: Offer = {
  lines: [{ bus: 'rs485-1', place: '/dev/ttyS1' }, { bus: 'hall-2', place: 'tcp://192.168.1.50:4001' }],
  serials: ['/dev/ttyUSB0'],
  networks: ['192.168.1.0/24', '10.0.0.0/20'],
  protocols: protocols('modbus-rtu', 'dlt645', 'mbus', 'modbus-tcp'),
  bauds: [300, 2400, 9600],
}
const nothing: Offer = { lines: [], serials: [], networks: [], protocols: [], bauds: [] }
const begun = (text = '', from = offer) => choiceOf(new URLSearchParams(text), from)

test('the form begins with what is usual, as far as the gateway has it', () => {
  expect(begun()).toMatchObject({ where: 'line:rs485-1', protocols: ['modbus-rtu', 'dlt645'], settings: 'usual', bauds: [2400, 9600], parities: ['none', 'even'], units: '1-32' })
  expect(begun()).toMatchObject({ network: '192.168.1.0/24', ports: '502', hosts: '' })
  expect(begun('', { ...nothing, serials: ['/dev/ttyUSB0'] }).where).toBe('port:/dev/ttyUSB0')
  expect(begun('', nothing)).toMatchObject({ where: 'network', network: '', protocols: [], bauds: [2400, 4800, 9600, 19200] })
  expect(begun('', { ...nothing, protocols: protocols('sml', 'modbus-tcp') }).protocols).toEqual(['sml'])
})

test('a link chooses the place, unless the gateway no longer has it', () => {
  expect(begun('where=line:hall-2').where).toBe('line:hall-2')
  expect(begun('where=line:gone').where).toBe('line:rs485-1')
})

test('what the form says comes back from its address', () => {
  const some: Partial<Choice>[] = [
    { where: 'port:/dev/ttyUSB0', protocols: ['mbus'], settings: 'these', bauds: [300], parities: ['odd'], units: '7' },
    { where: 'other', port: '/dev/serial/by-id/a&b', protocols: ['modbus-rtu', 'mbus'], settings: 'usual', units: '' },
    { where: 'network', network: '10.0.0.0/20', ports: '502, 503', hosts: '1' },
    { where: 'network', hosts: '' },
  ]
  for (const one of some) expect(begun(addressOf('find', '', queryOf({ ...begun(), ...one })).split('?')[1])).toMatchObject(one)
})

test('the gateway is asked for what applies, and no more', () => {
  expect(wantedOf(begun(), offer)).toEqual({ kind: 'line', bus: 'rs485-1', protocols: ['modbus-rtu', 'dlt645'], units: '1-32' })
  expect(wantedOf({ ...begun(), settings: 'these', units: ' ' }, offer)).toEqual({
    kind: 'line', bus: 'rs485-1', protocols: ['modbus-rtu', 'dlt645'], bauds: [2400, 9600], parities: ['none', 'even'],
  })
  expect(wantedOf({ ...begun(), settings: 'these', where: 'line:hall-2', protocols: ['dlt645'] }, offer)).toEqual({ kind: 'line', bus: 'hall-2', protocols: ['dlt645'] })
  expect(wantedOf({ ...begun(), where: 'other', port: ' /dev/ttyS4 ', units: '1 – 4，9' }, offer)).toMatchObject({ serial: '/dev/ttyS4', units: '1-4,9' })
  expect(wantedOf({ ...begun(), where: 'network', network: '10.0.0.7', ports: '502 503' }, offer)).toEqual({ kind: 'network', network: '10.0.0.7/32', ports: [502, 503] })
  expect(wantedOf({ ...begun(), where: 'network', hosts: '1-4' }, offer)).toMatchObject({ units: '1-4' })
})

test('rates are the gateway’s own on its ports only', () => {
  expect(serial(begun(), offer)).toBe(true)
  expect(serial(begun('where=port:/dev/ttyUSB0'), offer)).toBe(true)
  expect(serial(begun('where=line:hall-2'), offer)).toBe(false)
  expect(serial(begun('where=network'), offer)).toBe(false)
})

test('what cannot be sent is named', () => {
  const but = (change: Partial<Choice>) => wrong({ ...begun(), ...change }, offer)
  expect(but({})).toBeUndefined()
  expect(but({ protocols: [] })).toBe('protocols')
  expect(but({ settings: 'these', bauds: [] })).toBe('bauds')
  expect(but({ settings: 'these', parities: [] })).toBe('parities')
  expect(but({ settings: 'usual', bauds: [], parities: [] })).toBeUndefined()
  expect(but({ settings: 'these', where: 'line:hall-2', bauds: [], parities: [] })).toBeUndefined()
  expect(but({ units: '0-12' })).toBe('units')
  expect(but({ units: '' })).toBeUndefined()
  expect(but({ units: 'x', protocols: ['mbus'] })).toBeUndefined()
  expect(but({ where: 'other', port: 'COM3' })).toBe('port')
  expect(but({ where: 'network', network: '10.0.0.0/8' })).toBe('network')
  expect(but({ where: 'network', ports: '0' })).toBe('ports')
  expect(but({ where: 'network', hosts: '256' })).toBe('hosts')
  expect(but({ where: 'network', protocols: [], units: '' })).toBeUndefined()
})

test('only Modbus goes through units', () => {
  expect(asksUnits(begun())).toBe(true)
  expect(asksUnits({ ...begun(), protocols: ['dlt645', 'mbus'] })).toBe(false)
})

test('numbers as people write them', () => {
  expect(numbersOf('1-3, 7', 1, 247)).toEqual([1, 2, 3, 7])
  expect(numbersOf('2,1,2', 1, 247)).toEqual([2, 1])
  expect(numbersOf('1~3，7、9', 1, 247)).toEqual([1, 2, 3, 7, 9])
  for (const text of ['', 'a', '3-1', '-5', '1-', '248', '1,,x', '1.5', '999999']) expect(numbersOf(text, 1, 247), text).toBeUndefined()
})

test('how many addresses a network has', () => {
  expect(addresses('192.168.1.0/24')).toBe(254)
  expect(addresses('10.0.0.0/20')).toBe(4094)
  expect(addresses(' 10.0.0.7 ')).toBe(1)
  expect(addresses('10.0.0.6/31')).toBe(2)
  for (const text of ['', '10.0.0.0/19', '10.0.0.0/33', '10.0.0.256', 'fe80::1/120', 'plc.example']) expect(addresses(text), text).toBeUndefined()
})
