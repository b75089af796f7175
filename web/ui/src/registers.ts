// Registers that were read once or pasted, and what they may mean.

import type { Scalar } from './status'
import type { Schemas } from './schemas'

export type Registers = Schemas['Registers']
export type Interpretation = Schemas['Interpretation']

export const areas = ['holding', 'input'] as const
export type Area = (typeof areas)[number]

const mostAddress = 65535
export const mostCount = 125 // registers in one request [MODBUS Application Protocol V1.1b3, 6.3]

// addressFrom reads 31, 0x1F and holding:31, which count from 0 as on the wire, and 400032, which counts
// from 1 and names its area. The shorter 40032 could be either, and is taken as it stands.
export function addressFrom(text: string): { area?: Area; address: number } | undefined {
  const plain = text.trim().toLowerCase()
  const [, name, number = ''] = /^(?:(holding|input):)?(0x[0-9a-f]{1,4}|\d{1,6})$/.exec(plain) ?? []
  if (number === '') return undefined
  const area = areas.find((one) => one === name)
  const [, digit, numbered] = /^([34])(\d{5})$/.exec(number) ?? []
  if (!area && numbered) {
    const address = Number(numbered) - 1
    return address >= 0 && address <= mostAddress ? { area: digit === '4' ? 'holding' : 'input', address } : undefined
  }
  const address = Number(number)
  return address <= mostAddress ? { ...(area ? { area } : {}), address } : undefined
}

// countFrom reads how many registers are wanted.
export function countFrom(text: string | number): number | undefined {
  const count = Number(text)
  return Number.isInteger(count) && count >= 1 && count <= mostCount ? count : undefined
}

// wordsFrom reads registers as people paste them: words, bytes or one long row, with or without 0x.
export function wordsFrom(text: string): string[] | undefined {
  const parts = text.trim().split(/[\s,;:|[\]"'-]+/).filter((part) => part !== '')
  const digits = parts.map((part) => part.replace(/^0x/i, ''))
  if (digits.length === 0 || !digits.every((part) => /^[0-9a-f]+$/i.test(part))) return undefined
  const bytes = digits.every((part) => part.length <= 2) // one word alone would be written with four digits
  const whole = digits.map((part, i) => {
    if (bytes) return part.padStart(2, '0')
    return part.length < 4 && /^0x/i.test(parts[i] ?? '') ? part.padStart(4, '0') : part
  })
  const row = whole.join('').toUpperCase()
  const even = row.length % 4 === 0 && (bytes || whole.every((part) => part.length % 2 === 0))
  const words = row.match(/.{4}/g) ?? []
  return even && words.length <= mostCount ? words : undefined
}

// startsOf lists the words from which on there is something to read.
export function startsOf(registers: Registers): number[] {
  return [...new Set(registers.interpretations.map((one) => one.at))].sort((a, b) => a - b)
}

export interface TypeRow {
  type: string
  cells: Interpretation[]
}

// rowsOf puts the ways to read the words from one on under their types, in the order of the answer.
export function rowsOf(registers: Registers, at: number): TypeRow[] {
  const rows: TypeRow[] = []
  for (const one of registers.interpretations) {
    if (one.at !== at) continue
    const row = rows.find((r) => r.type === one.type)
    if (row) row.cells.push(one)
    else rows.push({ type: one.type, cells: [one] })
  }
  return rows
}

// shownOf gives a value with the digits that it is worth: a 32-bit float has seven.
export function shownOf(one: Interpretation): string {
  if (one.type === 'float32' && typeof one.value === 'number') return String(Number(one.value.toPrecision(7)))
  return one.text || '–'
}

const scales = [1, 0.1, 0.01, 0.001, 0.0001, 10, 100, 1000]

// scaleTo gives the scale that makes a value what a display says, rounded as the display rounds;
// undefined: none does. A text is compared as it is.
export function scaleTo(value: Scalar, display: string): number | undefined {
  const wanted = display.trim().replace(/^([-+]?\d+),(\d+)$/, '$1.$2')
  if (wanted === '') return undefined
  if (typeof value === 'string' && value.trim() === wanted) return 1
  const number = Number(wanted)
  const have = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof have !== 'number' || !Number.isFinite(have) || !Number.isFinite(number)) return undefined
  if (have === 0 || number === 0) return have === number ? 1 : undefined
  const decimals = /\.(\d+)$/.exec(wanted)?.[1]?.length ?? 0
  const near = 0.5 * 10 ** -decimals * (1 + 1e-9)
  return scales.find((scale) => Math.abs(have * scale - number) <= near && agrees(have * scale, number))
}

// A display that shows 4 does not mean 4.4 of 4400 with a scale of 0.001: that would mark everything.
function agrees(have: number, wanted: number): boolean {
  return Math.abs(have - wanted) <= 0.05 * Math.abs(wanted)
}

// pointLine writes a point that reads the registers so, as a line of the configuration.
export function pointLine(registers: Registers, one: Interpretation, scale = 1): string {
  const address = `${registers.area ?? 'holding'}:${registers.address + one.at}${one.byte ? '.' + one.byte : ''}`
  const long = one.type === 'string' || one.type === 'raw'
  const keys = [
    'name: point',
    `address: "${address}"`,
    `type: ${one.type}`,
    ...(one.order ? [`order: ${one.order}`] : []),
    ...(long ? [`length: ${2 * one.registers}`] : []),
    ...(scale === 1 ? [] : [`scale: ${scale}`]),
  ]
  return `- {${keys.join(', ')}}`
}
