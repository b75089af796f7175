import type { BusText } from './buses'

// said gives what the gateway says in both languages in that of the page.
export function said(text: BusText, language: string): string {
  return language.startsWith('zh') ? text.zh : text.en
}
