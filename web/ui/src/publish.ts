// What the form for a message says, and what is sent of it.

import type { Schemas } from './schemas'

export interface Draft {
  topic: string
  payload: string
  encoding: 'text' | 'json' | 'base64'
  qos: 1 | 2
  retain: boolean
  expiry: string // seconds; empty: never
  properties: { name: string; value: string }[]
}

export const usual: Draft = { topic: '', payload: '', encoding: 'text', qos: 1, retain: false, expiry: '', properties: [] }

// jsonMistake says why a text is no JSON; empty: it is.
export function jsonMistake(text: string): string {
  if (text.trim() === '') return ''
  try {
    JSON.parse(text)
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

// bodyOf gives the request. JSON is checked here and sent as the text that it is: read into numbers and
// written anew, 12345678901234567890 would be another.
export function bodyOf(draft: Draft): Schemas['PublishRequest'] {
  const expiry = Number(draft.expiry.trim())
  const properties = draft.properties.filter((p) => p.name.trim() !== '').map((p) => ({ name: p.name.trim(), value: p.value }))
  return {
    topic: draft.topic.trim(),
    payload: draft.encoding === 'base64' ? draft.payload.replace(/\s+/g, '') : draft.payload,
    encoding: draft.encoding === 'base64' ? 'base64' : 'text',
    qos: draft.qos,
    retain: draft.retain,
    ...(draft.expiry.trim() === '' ? {} : { expiry_seconds: Number.isInteger(expiry) ? expiry : -1 }),
    ...(properties.length > 0 ? { properties } : {}),
  }
}
