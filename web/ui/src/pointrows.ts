// Points of a device as rows of texts, and back: what the cells of the editor mean.

import type { Field } from './config'
import type { CellChange, Row } from './sheet'

export type Point = Record<string, unknown>

// rest is where a row keeps what has no column, so that it is not lost.
const rest = ' rest'

// cellsOf writes a point as texts.
export function cellsOf(point: Point, fields: Field[]): Record<string, string> {
  const cells: Record<string, string> = {}
  const other: Point = {}
  for (const [key, value] of Object.entries(point)) {
    const field = fields.find((one) => one.name === key)
    if (field && editable(field)) cells[key] = textOf(value)
    else other[key] = value
  }
  if (Object.keys(other).length > 0) cells[rest] = JSON.stringify(other)
  return cells
}

// editable says whether a cell can hold a field.
export const editable = (field: Field): boolean => field.type !== 'section' && !(field.list && field.type === 'map')

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(', ')
  if (value !== null && typeof value === 'object') {
    return Object.entries(value)
      .map(([key, text]) => `${key}=${textOf(text)}`)
      .join('; ')
  }
  return value === null || value === undefined ? '' : String(value)
}

// pointOf makes a point of a row. What a cell cannot mean stays text: the gateway says what is wrong with it.
export function pointOf(row: Row, fields: Field[]): Point {
  const point: Point = {}
  for (const field of fields) {
    const text = (row.cells[field.name] ?? '').trim()
    if (text !== '' && editable(field)) point[field.name] = valueOf(text, field)
  }
  if (row.cells[rest]) Object.assign(point, JSON.parse(row.cells[rest]) as Point)
  return point
}

function valueOf(text: string, field: Field): unknown {
  if (field.list) return text.split(/[,;，；]\s*/).filter(Boolean).map((one) => single(one, field.type))
  if (field.type === 'map') return Object.fromEntries(text.split(/[;；]\s*/).filter(Boolean).map((pair) => [before(pair, '='), behind(pair, '=')]))
  return single(text, field.type)
}

function single(text: string, type: string): unknown {
  switch (type) {
    case 'integer':
      return /^[+-]?\d{1,15}$/.test(text) ? Number(text) : text
    case 'number': {
      const plain = /^[+-]?\d+,\d+$/.test(text) ? text.replace(',', '.') : text // as spreadsheets of many countries write it
      const number = Number(plain)
      return plain !== '' && Number.isFinite(number) && /^[+-]?(\d|\.\d)/.test(plain) ? number : text
    }
    case 'boolean':
      return /^(true|yes|on|1|是)$/i.test(text) ? true : /^(false|no|off|0|否)$/i.test(text) ? false : text
  }
  return text
}

const before = (text: string, mark: string) => (text.includes(mark) ? text.slice(0, text.indexOf(mark)) : text).trim()
const behind = (text: string, mark: string) => (text.includes(mark) ? text.slice(text.indexOf(mark) + 1) : '').trim()

// empty says whether nothing stands in a row: such a row is no point.
export const empty = (row: Row): boolean => Object.values(row.cells).every((text) => text.trim() === '')

// pointsOf makes the points of all rows that are any, and tells the row of each.
export function pointsOf(rows: Row[], fields: Field[]): { points: Point[]; ids: number[] } {
  const used = rows.filter((row) => !empty(row))
  return { points: used.map((row) => pointOf(row, fields)), ids: used.map((row) => row.id) }
}

export interface CellProblem {
  id: number // of the row; 0: the device as a whole
  field: string // '' : the row as a whole
  text: string
}

// placed brings problems of a configuration to the cells: the paths are those of the device, of which the
// points were given in the order of ids. A point may be called by its number or by its name.
export function placed(problems: { path: string[]; text: string }[], device: string, index: number, points: Point[], ids: number[]): CellProblem[] {
  const byName = new Map(points.map((point, i) => [String(point['name']), i]))
  const found: CellProblem[] = []
  for (const { path, text } of problems) {
    if (path[0] !== 'devices' || (path[1] !== device && path[1] !== String(index))) continue
    const [, , list, which = '', field = ''] = path
    const at = ids[/^\d+$/.test(which) ? Number(which) : (byName.get(which) ?? -1)]
    if (list === 'points' && at !== undefined) found.push({ id: at, field, text })
    else found.push({ id: 0, field: '', text: [...path.slice(2), text].join(': ') })
  }
  return found
}

// clashes finds names that are missing or there twice without asking anybody.
export function clashes(rows: Row[]): CellProblem[] {
  const seen = new Map<string, number>()
  const found: CellProblem[] = []
  rows.forEach((row, i) => {
    const name = row.cells['name']?.trim() ?? ''
    if (name === '') return
    const first = seen.get(name)
    if (first === undefined) seen.set(name, i + 1)
    else found.push({ id: row.id, field: 'name', text: `${name} = ${first}` })
  })
  return found
}

// reach gives the cell changes that complete what was typed or pasted, where a column has a way of its own
// to be written.
export function tidied(changes: CellChange[], how: (field: string, text: string) => string): CellChange[] {
  return changes.map((change) => ({ ...change, value: how(change.field, change.value) }))
}
