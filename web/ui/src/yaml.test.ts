import { expect, test } from 'vitest'

import { together } from './yaml'

test('what was found on one line becomes one list of devices, and the line is there once', () => {
  const line = 'buses:\n  - {name: rs485-1, serial: /dev/ttyS1, baud: 9600}\n'
  const meter = 'devices:\n  - name: meter-17\n    profile: eastron-sdm630\n    address: bus://rs485-1\n    unit: 17\n'
  const water = 'devices:\n  # no profile fits\n  - name: water\n    driver: cjt188\n    points:\n      - {name: volume}\n'
  expect(together([line + meter, line + water])).toBe(
    line + meter + '  # no profile fits\n  - name: water\n    driver: cjt188\n    points:\n      - {name: volume}\n',
  )
})

test('lists within an entry stay in it', () => {
  const one = 'devices:\n- name: a\n  points:\n  - {name: x}\n  - {name: y}\n'
  const two = 'devices:\n- name: b\n  points:\n  - {name: x}\n'
  expect(together([one, two])).toBe('devices:\n- name: a\n  points:\n  - {name: x}\n  - {name: y}\n- name: b\n  points:\n  - {name: x}\n')
})

test('one text stays as it is, and nothing is nothing', () => {
  const one = 'devices:\n  - {name: a}\n'
  expect(together([one])).toBe(one)
  expect(together([one, one])).toBe(one)
  expect(together([])).toBe('')
  expect(together(['- {name: a}', '- {name: b}'])).toBe('- {name: a}\n- {name: b}\n')
})
