import { describe, expect, it } from 'vitest'

import { eventTone, isAddress, progressOf, toneOf, type Install } from './firmware'

const install = (change: Partial<Install>): Install => ({
  running: true, phase: 'receiving', percent: 0, message: '', source: 'a.raucb', by: 'ada', version: '', bytes: 0, total: null, error: '', reason: '', ...change,
})

describe('firmware', () => {
  it('says how far an installation is', () => {
    expect(progressOf(install({ bytes: 25, total: 100 }))).toBe(25)
    expect(progressOf(install({ bytes: 25 }))).toBeUndefined()
    expect(progressOf(install({ phase: 'checking' }))).toBeUndefined()
    expect(progressOf(install({ phase: 'installing', percent: 80 }))).toBe(80)
    expect(progressOf(install({ phase: 'installing', percent: 180 }))).toBe(100)
  })

  it('takes addresses of the web alone', () => {
    for (const good of ['https://example.com/a.raucb', ' http://10.0.0.1:8080/a ']) expect(isAddress(good)).toBe(true)
    for (const bad of ['', 'a.raucb', '/etc/passwd', 'ftp://example.com/a', 'https://user:word@example.com/a', 'https://']) expect(isAddress(bad)).toBe(false)
  })

  it('shows states as tones', () => {
    expect([toneOf('good'), toneOf('waiting'), toneOf('bad')]).toEqual(['good', 'busy', 'bad'])
    expect(['kept', 'restarting', 'refused', 'failed', 'fell-back'].map(eventTone)).toEqual(['good', 'busy', 'warn', 'bad', 'bad'])
  })
})
