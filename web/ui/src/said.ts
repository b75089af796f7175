import type { BusText } from './buses'

// Said is what the gateway says: in both languages, or in English only.
export type Said = string | BusText

// said gives it in the language of the page.
export function said(text: Said, language: string): string {
  if (typeof text === 'string') return text
  return language.startsWith('zh') ? text.zh : text.en
}
