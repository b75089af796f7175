import { expect, test } from 'vitest'

import { said } from './said'

test('what is said in both languages is given in that of the page', () => {
  expect(said({ en: 'a', zh: 'b' }, 'zh')).toBe('b')
  expect(said({ en: 'a', zh: 'b' }, 'en')).toBe('a')
})
