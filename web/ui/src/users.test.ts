import { describe, expect, it } from 'vitest'

import { changed, expiryOf, fieldsOf } from './users'

describe('what a record says was changed', () => {
  it('is told field by field', () => {
    expect(changed('{"role":"viewer","name":"zoe"}', '{"role":"operator","name":"zoe"}')).toEqual([{ name: 'role', before: 'viewer', after: 'operator' }])
  })

  it('is all of it when there was nothing before, or is nothing now', () => {
    expect(changed(undefined, '{"up":false}')).toEqual([{ name: 'up', before: '', after: 'false' }])
    expect(changed('{"up":false}', undefined)).toEqual([{ name: 'up', before: 'false', after: '' }])
    expect(changed(undefined, undefined)).toEqual([])
  })

  it('stays as it is when it is no object, or was cut off', () => {
    expect(changed('revision 3', 'revision 4')).toEqual([{ name: '', before: 'revision 3', after: 'revision 4' }])
    expect(changed('{"a":1}', '{"a":')).toEqual([{ name: '', before: '{"a":1}', after: '{"a":' }])
  })
})

describe('what a record says was changed of the configuration', () => {
  it('is told by key, in plain words', () => {
    const record = { number: 1, time: '', user: 'zoe', action: 'configuration applied' }
    const changes = [
      { path: 'devices.press.interval', before: '"10s"', after: '"30s"' },
      { path: 'devices.fan', after: '{"name":"fan","points":[{"na…' },
      { path: 'mqtt.anonymous', before: 'true', after: 'false' },
      { path: 'gateway.note', before: '""' },
    ]
    expect(fieldsOf({ ...record, changes })).toEqual([
      { name: 'devices.press.interval', before: '10s', after: '30s' },
      { name: 'devices.fan', before: '', after: '{"name":"fan","points":[{"na…' },
      { name: 'mqtt.anonymous', before: 'true', after: 'false' },
      { name: 'gateway.note', before: '""', after: '' },
    ])
    expect(fieldsOf({ ...record, before: '{"setpoint":40}', after: '{"setpoint":42}' })).toEqual([{ name: 'setpoint', before: '40', after: '42' }])
    expect(fieldsOf(record)).toEqual([])
  })
})

describe('an expiry', () => {
  it('lies days ahead, or is none', () => {
    expect(expiryOf(1, 0)).toBe('1970-01-02T00:00:00.000Z')
    expect(expiryOf(0, 0)).toBeUndefined()
  })
})
