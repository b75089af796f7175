import { expect, test } from 'vitest'

import { bodyOf, jsonMistake, usual } from './publish'

test('JSON is sent as it was typed', () => {
  const draft = { ...usual, topic: ' a/b ', encoding: 'json' as const, payload: '{"n": 12345678901234567890}' }
  expect(bodyOf(draft)).toEqual({ topic: 'a/b', payload: '{"n": 12345678901234567890}', encoding: 'text', qos: 1, retain: false })
  expect(jsonMistake(draft.payload)).toBe('')
  expect(jsonMistake('{')).not.toBe('')
})

test('what was left empty is not sent', () => {
  const body = bodyOf({ ...usual, topic: 'a', encoding: 'base64', payload: 'AA\nEC', expiry: '60', properties: [{ name: ' ', value: 'x' }, { name: 'k', value: '' }] })
  expect(body).toMatchObject({ payload: 'AAEC', encoding: 'base64', expiry_seconds: 60, properties: [{ name: 'k', value: '' }] })
  expect(bodyOf({ ...usual, topic: 'a', expiry: 'soon' }).expiry_seconds).toBe(-1) // which the gateway refuses in words
})
