import { expect, test } from 'vitest'

import { nameFrom } from './save'

test('a file is saved under the name that the gateway gives it', () => {
  expect(nameFrom('attachment; filename="press.csv"', 'x')).toBe('press.csv')
  expect(nameFrom('attachment; filename=press.csv', 'x')).toBe('press.csv')
  expect(nameFrom(`attachment; filename="_.csv"; filename*=UTF-8''%E7%94%B5%E8%A1%A8.csv`, 'x')).toBe('电表.csv')
  expect(nameFrom(`attachment; filename="a.csv"; filename*=UTF-8''%E7`, 'x')).toBe('a.csv')
  expect(nameFrom('attachment; filename="a \\"b\\".csv"', 'x')).toBe('a "b".csv')
  expect(nameFrom('attachment; filename="../../etc/x"', 'x')).toBe('.._.._etc_x')
  expect(nameFrom('attachment', 'x')).toBe('x')
  expect(nameFrom(null, 'x')).toBe('x')
})
