// Modbus addresses in the ways that people write them.

export const notations = ['numbered', 'named', 'hex'] as const
export type Notation = (typeof notations)[number]

const areas = ['coil', 'discrete', 'input', 'holding'] as const
type Area = (typeof areas)[number]
const digits: Record<Area, string> = { coil: '0', discrete: '1', input: '3', holding: '4' }

export interface ModbusAddress {
  area: Area
  number: number // from 0, as on the wire
  part: string // .3 for a bit, .h or .l for a byte; empty: the whole
}

// modbusAddress reads holding:7, holding:0x1F, holding:7.2 and the older 40008 and 400008, which count from 1.
export function modbusAddress(text: string): ModbusAddress | undefined {
  const [, whole = '', part = ''] = /^([^.]+)((?:\.(?:\d{1,2}|h|l))?)$/.exec(text.trim()) ?? []
  const [, name, number = ''] = /^(\w+):(0x[0-9a-fA-F]{1,4}|\d{1,5})$/.exec(whole) ?? []
  const area = areas.find((one) => one === name)
  if (area) return within(area, Number(number), part)
  const [, digit, numbered] = /^([0134])(\d{4,5})$/.exec(whole) ?? []
  const old = areas.find((one) => digits[one] === digit)
  return old && numbered ? within(old, Number(numbered) - 1, part) : undefined
}

function within(area: Area, number: number, part: string): ModbusAddress | undefined {
  const bits = area === 'coil' || area === 'discrete'
  if (number < 0 || number > 65535 || (part && bits) || (/^\.\d/.test(part) && Number(part.slice(1)) > 15)) return undefined
  return { area, number, part }
}

// written gives an address in a notation.
export function written(address: ModbusAddress, notation: Notation): string {
  const { area, number, part } = address
  switch (notation) {
    case 'numbered':
      return digits[area] + String(number + 1).padStart(number >= 9999 ? 5 : 4, '0') + part
    case 'named':
      return `${area}:${number}${part}`
    case 'hex':
      return `${area}:0x${number.toString(16).toUpperCase().padStart(4, '0')}${part}`
  }
}

// shown gives the text of an address in a notation, and as it stands where it is none.
export function shown(text: string, notation: Notation): string {
  const address = modbusAddress(text)
  return address ? written(address, notation) : text
}

// completed reads what is typed while a notation is shown: a number alone is a holding register that counts
// as that notation does. Everything else is left for the gateway to judge.
export function completed(text: string, notation: Notation): string {
  const plain = text.trim()
  if (notation === 'hex' && /^(0x)?[0-9a-f]{1,4}$/i.test(plain)) return 'holding:0x' + plain.replace(/^0x/i, '').toUpperCase()
  if (/^0x[0-9a-f]{1,4}$/i.test(plain)) return 'holding:' + plain
  if (notation === 'named' && /^\d{1,4}$/.test(plain)) return 'holding:' + Number(plain)
  return plain
}
