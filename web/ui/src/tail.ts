// Messages as they come: what the page keeps of them, and how it follows.

import { query } from './api'
import type { Schemas } from './schemas'

export type News = Schemas['TailNews']
export type TailItem = Schemas['TailItem']

export const keptMessages = 300

// Tail keeps the last messages, the newest first, and counts the others.
export interface Tail {
  items: TailItem[]
  came: number
  hidden: number
  unread: number
}

export const nothing: Tail = { items: [], came: 0, hidden: 0, unread: 0 }

// grown is a tail with what has come since.
export function grown(tail: Tail, news: News): Tail {
  const items = news.items.length > 0 ? [...[...news.items].reverse(), ...tail.items].slice(0, keptMessages) : tail.items
  return { items, came: tail.came + news.items.length + news.hidden, hidden: tail.hidden + news.hidden, unread: tail.unread + news.unread }
}

// filtersOf reads what was typed: filters with spaces or commas between them; none: all.
export const filtersOf = (text: string): string[] => text.split(/[\s,，]+/).filter(Boolean)

// valid says whether a text is an MQTT topic filter.
export function valid(filter: string): boolean {
  const levels = filter.split('/')
  return filter !== '' && levels.every((level, i) => (level === '#' ? i === levels.length - 1 : level === '+' || !/[+#]/.test(level)))
}

// tailAddress is where the stream comes from.
export function tailAddress(filters: string[]): string {
  return '/api/v1/messages/tail' + (filters.length > 0 ? '?' + filters.map((f) => query({ filter: f }).slice(1)).join('&') : '')
}

// previewOf is what of the beginning of a payload is worth a line: of a reading the values, whose gateway and
// device stand in the topic.
export function previewOf(text: string): string {
  const values = text.startsWith('{"gateway":') ? text.indexOf('"values":{') : -1
  return values > 0 ? text.slice(values + 9).replace(/\}\}$/, '}') : text
}
