import { expect, test } from 'vitest'

import { countsOf, queryOf, sorted, unread, withColumn, type ImportedColumn, type PointProblem } from './importing'

const problems: PointProblem[] = [
  { row: 5, text: 'type' }, { row: 3, text: 'name' }, { row: 3, text: 'address' }, { row: 4, text: 'order', warning: true }, { text: 'whole' },
]

test('a row with two problems is left out once, one with a warning is not', () => {
  expect(countsOf(problems)).toEqual({ left: 2, warnings: 1 })
  expect(countsOf([])).toEqual({ left: 0, warnings: 0 })
})

test('problems go down the rows', () => {
  expect(sorted(problems).map((p) => p.text)).toEqual(['whole', 'name', 'address', 'order', 'type'])
})

test('what a file does not say is asked of the API', () => {
  expect(queryOf(unread())).toBe('')
  expect(queryOf({ ...unread('press 1'), station: '', base: '1', order: 'CDAB', columns: { name: 2, unit: -1 } })).toBe(
    '?device=press+1&station=&base=1&order=CDAB&column=name%3A2&column=unit%3A-1',
  )
})

test('a column is taken from where it was, and what stood there is free', () => {
  const columns: ImportedColumn[] = [{ header: 'tag', column: 'name' }, { header: 'register', column: 'address' }, { header: 'x', column: '' }]
  const moved = withColumn(unread(), columns, 2, 'address')
  expect(moved.columns).toEqual({ address: 2 })
  const now = [columns[0]!, { header: 'register', column: '' }, { header: 'x', column: 'address' }]
  expect(withColumn(moved, now, 2, 'unit').columns).toEqual({ unit: 2 })
  expect(withColumn(moved, now, 2, '').columns).toEqual({ address: -1 })
  expect(withColumn(moved, now, 1, 'address').columns).toEqual({ address: 1 })
  expect(withColumn(unread(), columns, 0, 'name').columns).toEqual({ name: 0 })
})
