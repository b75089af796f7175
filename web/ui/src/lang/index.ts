import { computed, watchEffect } from 'vue'
import { createI18n } from 'vue-i18n'

import { format } from '../format'
import en from './en'
import zh from './zh'

export const languages = { en: 'EN', zh: '中文' } as const
export type Language = keyof typeof languages

function preferred(): Language {
  const kept = localStorage.getItem('language')
  if (kept === 'en' || kept === 'zh') return kept
  return navigator.languages.find((l) => /^(zh|en)\b/i.test(l))?.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

export const i18n = createI18n({ legacy: false, locale: preferred(), fallbackLocale: 'en', messages: { en, zh } })

export const language = i18n.global.locale

// f writes numbers and times in the language of the page.
export const f = computed(() =>
  format(language.value === 'zh' ? 'zh-CN' : 'en', { on: i18n.global.t('on'), off: i18n.global.t('off') }),
)

watchEffect(() => {
  document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en'
  localStorage.setItem('language', language.value)
})
