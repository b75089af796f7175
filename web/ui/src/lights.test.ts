import { expect, test } from 'vitest'

import { lightOf, lights, show } from './lights'

const states = (...of: Parameters<typeof show>) => lights.map((light) => show(...of)[light].state)
const ok = (step: string) => ({ step, took_ms: 1 })

test('each step of a test lights one of the four', () => {
  expect(['name resolved', 'port open', 'proxy passed', 'TLS', 'certificate valid', 'logged in', 'published', 'acknowledged'].map(lightOf)).toEqual(['name', 'port', 'port', 'certificate', 'certificate', 'login', 'login', 'login'])
  expect(lightOf('something else')).toBeUndefined()
})

test('lights follow the test, and what it has no need of is said to be so', () => {
  expect(states([], true, undefined)).toEqual(['busy', 'waiting', 'waiting', 'waiting'])
  expect(states([ok('name resolved'), ok('port open')], true, undefined)).toEqual(['good', 'good', 'busy', 'waiting'])
  expect(states([ok('port open'), ok('logged in')], false, true)).toEqual(['none', 'good', 'none', 'good'])
})

test('the first light that fails stays so, and those behind it wait', () => {
  const steps = [ok('port open'), { step: 'TLS', took_ms: 1, error: 'expired' }]
  expect(states(steps, false, false)).toEqual(['none', 'good', 'bad', 'waiting'])
  expect(show(steps, false, false).certificate.detail).toBe('expired')
})
