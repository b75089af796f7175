import { shallowRef, watchEffect } from 'vue'

import { language } from './lang'
import { translator, type Translate } from './sentences'

const asItIs: Translate = (text) => text
const chinese = shallowRef<Translate>()

// The catalogue is large and wanted in Chinese alone.
watchEffect(() => {
  if (language.value === 'zh' && !chinese.value) void fetchChinese()
})

async function fetchChinese(): Promise<void> {
  try {
    chinese.value = translator((await import('./lang/zh/said')).default)
  } catch {
    // English is better than nothing; another page asks again
  }
}

// told gives what the gateway says in the language of the page. Whoever shows it calls this while it
// renders, so that it follows the language and a catalogue that comes late.
export function told(text: string | undefined): string {
  const translate = language.value === 'zh' ? (chinese.value ?? asItIs) : asItIs
  return translate(text ?? '')
}
