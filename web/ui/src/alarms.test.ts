import { expect, test } from 'vitest'

import { guesses, missing, scalarOf, tidy, type Rule } from './alarms'
import type { Status } from './status'

const status = {
  devices: [
    { name: 'press', state: 'online', points: [{ name: 't', value: 81.5 }, { name: 'run', value: true }, { name: 'bad', value: 99, error: 'no answer' }] },
    { name: 'oven', state: 'offline', points: [{ name: 't', value: null }] },
  ],
} as unknown as Status
const rule = (change: Partial<Rule>): Rule => ({ name: 'hot', device: 'press', point: 't', when: 'above', ...change })
const active = (r: Rule) => guesses(r, status).map((g) => `${g.device}/${g.point} ${g.active}`)

test('a rule is tried on what the points have now', () => {
  expect(active(rule({ limit: 80 }))).toEqual(['press/t true'])
  expect(active(rule({ limit: 81.5 }))).toEqual(['press/t false'])
  expect(active(rule({ when: 'below', limit: 90, device: '*' }))).toEqual(['press/t true', 'oven/t false'])
  expect(active(rule({ when: 'outside', low: 0, high: 80, point: '*' }))).toEqual(['press/t true', 'press/run false', 'press/bad false'])
  expect(active(rule({ when: 'equals', value: true, point: 'run' }))).toEqual(['press/run true'])
  expect(active(rule({ when: 'equals', value: 1, point: 'run' }))).toEqual(['press/run true'])
  expect(active(rule({ when: 'equals', value: 'on', point: 'run' }))).toEqual(['press/run false'])
  expect(active(rule({ when: 'state', device: '*' }))).toEqual(['oven/ true', 'press/ false'])
  expect(active(rule({ when: 'state', device: '*', states: ['online'] }))).toEqual(['press/ true', 'oven/ false'])
  expect(active(rule({ when: 'rate', limit: 1 }))).toEqual(['press/t undefined'])
  expect(active(rule({ when: 'silence', point: '' }))).toEqual(['press/ undefined'])
})

test('a rule keeps only what belongs to its kind', () => {
  expect(tidy(rule({ when: 'state', limit: 3, enabled: true, notify: [], text: '', for: '5s' }))).toEqual({ name: 'hot', device: 'press', when: 'state', for: '5s' })
  expect(tidy(rule({ limit: 0, enabled: false }))).toEqual({ name: 'hot', device: 'press', point: 't', when: 'above', limit: 0, enabled: false })
})

test('what a rule still needs is named', () => {
  expect(missing(rule({}))).toEqual(['limit'])
  expect(missing(rule({ name: ' ', device: '', point: '' }))).toEqual(['name', 'device', 'point', 'limit'])
  expect(missing(rule({ when: 'outside', low: 3, high: 1 }))).toEqual(['range'])
  expect(missing(rule({ when: 'silence', point: '' }))).toEqual(['for'])
  expect(missing(rule({ when: 'equals', value: false }))).toEqual([])
})

test('a value is read as it was meant', () => {
  expect(['', ' 3.5 ', 'true', 'fault', '1e3'].map(scalarOf)).toEqual([undefined, 3.5, true, 'fault', 1000])
})
