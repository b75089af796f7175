import { describe, expect, it } from 'vitest'

import { completed, modbusAddress, shown, written } from './notation'

describe('a Modbus address', () => {
  it('is written in every notation', () => {
    const cases: [string, string, string, string][] = [
      ['holding:0', '40001', 'holding:0', 'holding:0x0000'],
      ['40008', '40008', 'holding:7', 'holding:0x0007'],
      ['400008', '40008', 'holding:7', 'holding:0x0007'],
      ['holding:0x1F.h', '40032.h', 'holding:31.h', 'holding:0x001F.h'],
      ['input:9999', '310000', 'input:9999', 'input:0x270F'],
      ['465536', '465536', 'holding:65535', 'holding:0xFFFF'],
      ['coil:3', '00004', 'coil:3', 'coil:0x0003'],
      ['holding:7.15', '40008.15', 'holding:7.15', 'holding:0x0007.15'],
    ]
    for (const [text, numbered, named, hex] of cases) {
      expect([shown(text, 'numbered'), shown(text, 'named'), shown(text, 'hex')]).toEqual([numbered, named, hex])
      for (const again of [numbered, named, hex]) expect(modbusAddress(again)).toEqual(modbusAddress(text))
    }
  })

  it('is none where it cannot be one, and then stays as it is', () => {
    for (const text of ['', '7', 'holding', 'holding:', 'holding:65536', 'coil:1.2', 'holding:1.16', '50001', '40000', '4000', 'holding:0x12345', 'toString:1']) {
      expect(modbusAddress(text)).toBeUndefined()
      expect(shown(text, 'hex')).toBe(text)
    }
  })

  it('survives each notation', () => {
    for (let number = 0; number < 65536; number += 97) {
      for (const area of ['coil', 'discrete', 'input', 'holding'] as const) {
        const address = { area, number, part: '' }
        expect(modbusAddress(written(address, 'numbered'))).toEqual(address)
        expect(modbusAddress(written(address, 'hex'))).toEqual(address)
      }
    }
  })

  it('is completed from a number as the notation counts', () => {
    expect(completed('1f', 'hex')).toBe('holding:0x1F')
    expect(completed('0x1F', 'named')).toBe('holding:0x1F')
    expect(completed('12', 'named')).toBe('holding:12')
    expect(completed('40012', 'named')).toBe('40012')
    expect(completed('40012', 'numbered')).toBe('40012')
    expect(completed(' coil:3 ', 'hex')).toBe('coil:3')
  })
})
