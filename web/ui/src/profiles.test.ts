import { expect, test } from 'vitest'

import { linked, matching, type Profile } from './profiles'

const profiles: Profile[] = [
  { name: 'eastron-sdm630', kind: 'modbus', category: 'power-meter', title: 'Eastron SDM630', vendor: 'Eastron', summary: { en: 'Three-phase meter', zh: '三相电能表' }, points: 42, sources: [] },
  { name: 'cjt188-water', kind: 'cjt188', category: 'water-meter', title: 'Water meter', vendor: 'any', summary: { en: 'Water meter', zh: '水表' }, points: 4, sources: [] },
]
const names = (search: string) => matching(profiles, search).map((p) => p.name)

test('every word of a search has to occur, in whatever language', () => {
  expect(names('')).toHaveLength(2)
  expect(names('EASTRON three')).toEqual(['eastron-sdm630'])
  expect(names(' water  meter ')).toEqual(['cjt188-water'])
  expect(names('water eastron')).toEqual([])
  expect(names('三相 modbus')).toEqual(['eastron-sdm630'])
})

test('a source leads to a web page only where it is one', () => {
  expect(linked('https://github.com/volkszaehler/mbmd meters/rs485/sdm.go')).toEqual({ address: 'https://github.com/volkszaehler/mbmd', text: 'meters/rs485/sdm.go' })
  expect(linked('Manual: http://a.example/x.pdf')).toEqual({ address: 'http://a.example/x.pdf', text: 'Manual:' })
  expect(linked('DL/T 645-2007, table A.1')).toEqual({ text: 'DL/T 645-2007, table A.1' })
  expect(linked('javascript:alert(1)')).toEqual({ text: 'javascript:alert(1)' })
})
