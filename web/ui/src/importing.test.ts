import { expect, test } from 'vitest'

import { several, sorted, yieldOf, type Imported } from './importing'

const imported: Imported = {
  format: 'plain', columns: [], rows: 4, points: [{ row: 2 }, { row: 4 }], yaml: '',
  problems: [{ row: 5, text: 'type' }, { row: 3, text: 'name' }, { row: 3, text: 'address' }, { row: 4, text: 'order', warning: true }, { text: 'whole' }],
}

test('a row with two problems is left out once, one with a warning is not', () => {
  expect(yieldOf(imported)).toEqual({ rows: 4, points: 2, left: 2, warnings: 1 })
  expect(yieldOf({ format: 'csv', columns: [], rows: 0, yaml: '' })).toEqual({ rows: 0, points: 0, left: 0, warnings: 0 })
})

test('problems go down the rows', () => {
  expect(sorted(imported.problems ?? []).map((p) => p.text)).toEqual(['whole', 'name', 'address', 'order', 'type'])
})

test('one station is no choice', () => {
  expect(several({ ...imported, stations: ['1'] })).toBe(false)
  expect(several({ ...imported, stations: ['1', '2'] })).toBe(true)
  expect(several(imported)).toBe(false)
})
