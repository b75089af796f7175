import { expect, test } from 'vitest'

import { linked, matching, type Profile } from './profiles'

const profiles: Profile[] = [
  { name: 'eastron-sdm630', kind: 'power-meter', driver: 'modbus', title: { en: 'Three-phase meter', zh: '三相电能表' }, vendor: 'Eastron', points: 42 },
  { name: 'cjt188-water', kind: 'water-meter', driver: 'cjt188', title: 'Water meter', vendor: 'CJ/T 188', points: 4 },
]
const names = (search: string, language = 'en') => matching(profiles, search, language).map((p) => p.name)

test('every word of a search has to occur', () => {
  expect(names('')).toHaveLength(2)
  expect(names('EASTRON three')).toEqual(['eastron-sdm630'])
  expect(names('water meter')).toEqual(['cjt188-water'])
  expect(names('water eastron')).toEqual([])
  expect(names('三相', 'zh')).toEqual(['eastron-sdm630'])
  expect(names('三相')).toEqual([])
})

test('a source leads to a web page only where it is one', () => {
  expect(linked('https://github.com/volkszaehler/mbmd meters/rs485/sdm.go')).toEqual({ address: 'https://github.com/volkszaehler/mbmd', text: 'meters/rs485/sdm.go' })
  expect(linked('Manual: http://a.example/x.pdf')).toEqual({ address: 'http://a.example/x.pdf', text: 'Manual:' })
  expect(linked('DL/T 645-2007, table A.1')).toEqual({ text: 'DL/T 645-2007, table A.1' })
  expect(linked('javascript:alert(1)')).toEqual({ text: 'javascript:alert(1)' })
})
