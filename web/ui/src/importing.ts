// What the API says of a table of points that it was given.

import type { Schemas } from './schemas'

export type Imported = Schemas['PointFile']
export type ImportedColumn = Schemas['PointColumn']
export type PointProblem = Schemas['PointProblem']

// Reading is what a file does not say itself.
export interface Reading {
  device: string // that the points are for; empty: none yet
  station: string | undefined // of several; undefined: none is chosen
  base: string // what plain numbers count from
  order: string // of values wider than a register that have none
  columns: Record<string, number> // by column, where it stands; -1: nowhere
}

export const unread = (device = ''): Reading => ({ device, station: undefined, base: '0', order: '', columns: {} })

export const mostBytes = 8 << 20 // of a file
export const orders = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const

// known are the columns that there are, in the order of an export.
export const known = [
  'name', 'address', 'area', 'bit', 'type', 'order', 'length', 'scale', 'offset', 'unit', 'access', 'group', 'deadband', 'description', 'station', 'id', 'format',
] as const

// queryOf writes how a file is to be read, as the API takes it. A station may be chosen that has no name.
export function queryOf(reading: Reading): string {
  const out = new URLSearchParams()
  if (reading.device) out.set('device', reading.device)
  if (reading.station !== undefined) out.set('station', reading.station)
  if (reading.base !== '0') out.set('base', reading.base)
  if (reading.order) out.set('order', reading.order)
  for (const [column, at] of Object.entries(reading.columns)) out.append('column', `${column}:${at}`)
  const text = out.toString()
  return text ? '?' + text : ''
}

// withColumn takes what stands at an index for another column, or for none. A column stands in one place;
// one that gives way to another goes back to where its heading is.
export function withColumn(reading: Reading, columns: ImportedColumn[], index: number, column: string): Reading {
  const chosen = Object.fromEntries(Object.entries(reading.columns).filter(([, at]) => at !== index))
  const before = columns[index]?.column
  if (column) chosen[column] = index
  else if (before) chosen[before] = -1
  return { ...reading, columns: chosen }
}

export interface Counts {
  left: number // rows that have become no point
  warnings: number
}

// countsOf counts a row once, whatever is wrong with it.
export function countsOf(problems: PointProblem[]): Counts {
  const rows = new Set(problems.filter((p) => !p.warning && p.row).map((p) => p.row))
  return { left: rows.size, warnings: problems.filter((p) => p.warning).length }
}

// sorted puts what concerns the whole file first, and then goes down the rows.
export function sorted(problems: PointProblem[]): PointProblem[] {
  return [...problems].sort((a, b) => (a.row ?? 0) - (b.row ?? 0))
}
