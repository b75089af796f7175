import { describe, expect, it } from 'vitest'

import { atLeast, roleOf, roles } from './role'

describe('a role', () => {
  it('includes those before it and none behind it', () => {
    for (const [i, role] of roles.entries()) for (const [j, least] of roles.entries()) expect(atLeast(role, least)).toBe(i >= j)
  })

  it('that is unknown may do the least', () => {
    expect(roleOf('owner')).toBe('viewer')
    expect(roleOf(undefined)).toBe('viewer')
    expect(roleOf('operator')).toBe('operator')
  })
})
