import { expect, test } from 'vitest'

import { freeName, lightsOf, valueAt, withValue } from './uplinks'

test('a value is put into a section, and taken out with what is empty then', () => {
  const section = { name: 'cloud', tls: { ca: '/a' } }
  const with2 = withValue(section, ['tls', 'cert'], '/b')
  expect(with2).toEqual({ name: 'cloud', tls: { ca: '/a', cert: '/b' } })
  expect(section.tls).toEqual({ ca: '/a' })
  expect(valueAt(with2, ['tls', 'cert'])).toBe('/b')
  expect(valueAt(with2, ['name', 'cert'])).toBeUndefined()
  expect(withValue(section, ['tls', 'ca'], undefined)).toEqual({ name: 'cloud' })
  expect(withValue({ forward: [1] }, ['sasl', 'username'], 'u')).toEqual({ forward: [1], sasl: { username: 'u' } })
})

test('a name that is taken gets a number', () => {
  expect(freeName('cloud', [])).toBe('cloud')
  expect(freeName('cloud', ['cloud', 'cloud-2'])).toBe('cloud-3')
})

test('the lights follow the steps', () => {
  const step = (name: string, error = '') => ({ step: name, took_ms: 1, ...(error ? { error } : {}) })
  expect(lightsOf([], undefined)).toEqual({ resolve: 'waiting', connect: 'waiting', tls: 'waiting', login: 'waiting' })
  expect(lightsOf([step('name resolved'), step('port open')], undefined)).toEqual({ resolve: 'good', connect: 'good', tls: 'waiting', login: 'waiting' })
  // a number, without TLS
  expect(lightsOf([step('port open'), step('logged in'), step('published'), step('acknowledged')], { ok: true })).toEqual({ resolve: 'none', connect: 'good', tls: 'none', login: 'good' })
  expect(lightsOf([step('name resolved'), step('port open'), step('certificate valid', 'expired')], { ok: false, error: 'expired' })).toEqual({ resolve: 'good', connect: 'good', tls: 'bad', login: 'none' })
  // the second address works
  expect(lightsOf([step('name resolved'), step('port open', 'refused'), step('name resolved'), step('port open')], undefined).connect).toBe('good')
  expect(lightsOf([], { ok: false, error: 'cannot read key_file' }).resolve).toBe('bad')
})
