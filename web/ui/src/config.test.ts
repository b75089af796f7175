import { describe, expect, it } from 'vitest'

import { editsBetween, movedTo, problemAt, problemsBelow, readField, same, showField, withValue, type Field } from './config'

describe('editsBetween', () => {
  it('names the keys that differ, and lists as a whole', () => {
    expect(editsBetween(['mqtt'], { listen: ['a'], tls: { cert: 'x', key: 'y' } }, { listen: ['a', 'b'], tls: { cert: 'z', key: 'y' }, anonymous: true })).toEqual([
      { path: ['mqtt', 'listen'], value: ['a', 'b'] },
      { path: ['mqtt', 'tls', 'cert'], value: 'z' },
      { path: ['mqtt', 'anonymous'], value: true },
    ])
  })
  it('adds and removes whole sections', () => {
    expect(editsBetween(['web'], undefined, { listen: 'a' })).toEqual([{ path: ['web'], value: { listen: 'a' } }])
    expect(editsBetween(['web'], { listen: 'a' }, undefined)).toEqual([{ path: ['web'] }])
    expect(editsBetween(['web', 'tls'], { cert: 'a' }, {})).toEqual([{ path: ['web', 'tls'], value: {} }])
    expect(editsBetween(['web'], { a: [1] }, { a: [1] })).toEqual([])
  })
})

it('values are compared whatever the order of their keys', () => {
  expect(same({ a: 1, b: [{ c: 2 }] }, { b: [{ c: 2 }], a: 1 })).toBe(true)
  expect(same({ a: undefined }, { b: undefined })).toBe(false)
  expect(same([1], { 0: 1 })).toBe(false)
  expect(withValue({ a: 1, b: 2 }, 'a', undefined)).toEqual({ b: 2 })
  expect(withValue(undefined, 'a', 1)).toEqual({ a: 1 })
})

it('what is typed becomes what the file holds', () => {
  const field = (type: Field['type'], list = false): Field => ({ name: 'x', type, list })
  expect(readField(field('integer'), ' 12 ')).toBe(12)
  expect(readField(field('integer'), '12345678901234567890')).toBe('12345678901234567890')
  expect(readField(field('number'), '0.5')).toBe(0.5)
  expect(readField(field('number'), 'half')).toBe('half')
  expect(readField(field('duration'), '500ms')).toBe('500ms')
  expect(readField(field('text'), '   ')).toBeUndefined()
  expect(readField(field('text', true), 'a\n\n b ')).toEqual(['a', 'b'])
  expect(showField(['a', 'b'])).toBe('a\nb')
  expect(showField(undefined)).toBe('')
  expect(showField(false)).toBe('false')
})

it('problems are found at their place', () => {
  const problems = [{ path: ['web', 'listen'], text: 'no port' }]
  expect(problemAt(problems, ['web', 'listen'])).toBe('no port')
  expect(problemAt(problems, ['web'])).toBeUndefined()
  expect(problemsBelow(problems, ['web'])).toBe(true)
  expect(problemsBelow(problems, ['web', 'listen'])).toBe(false)
})

it('the page knows where it will be', () => {
  const here = { protocol: 'http:', hostname: '10.0.0.5', port: '8080' }
  expect(movedTo(here, { listen: '0.0.0.0:9090' })).toBe('http://10.0.0.5:9090')
  expect(movedTo(here, { listen: ':8080' })).toBeUndefined()
  expect(movedTo(here, { listen: '' })).toBeUndefined()
  expect(movedTo(here, { listen: '10.0.0.6:8080' })).toBe('http://10.0.0.6:8080')
  expect(movedTo(here, { tls: { listen: '0.0.0.0:443' } })).toBe('https://10.0.0.5:443')
  expect(movedTo({ protocol: 'http:', hostname: 'gw', port: '' }, { listen: '0.0.0.0:80' })).toBeUndefined()
})
