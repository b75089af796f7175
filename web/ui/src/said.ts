import type { BusText } from './buses'
import { told } from './told'

// said gives what the gateway says in both languages in that of the page. Within the Chinese there may be
// an error that came from elsewhere.
export function said(text: BusText, language: string): string {
  return language.startsWith('zh') ? told(text.zh) : text.en
}
