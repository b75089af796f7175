import { expect, test, vi } from 'vitest'

import { said } from './said'

vi.mock('./told', () => ({ told: (text: string) => text.replace('timeout', '超时') }))

test('what is said in both languages is given in that of the page', () => {
  expect(said({ en: 'a', zh: 'b' }, 'zh')).toBe('b')
  expect(said({ en: 'a', zh: 'b' }, 'en')).toBe('a')
  expect(said({ en: 'not open: timeout', zh: '未打开：timeout' }, 'en')).toBe('not open: timeout')
  expect(said({ en: 'not open: timeout', zh: '未打开：timeout' }, 'zh')).toBe('未打开：超时')
})
