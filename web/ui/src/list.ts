import { onUnmounted, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'

import { Problem } from './api'
import { i18n } from './lang'
import { told } from './told'

const period = 5000 // milliseconds between two looks

// Asked is what was asked of the gateway: the last answer stays while a newer one is on its way or cannot
// be had.
export interface Asked<T> {
  answer: ShallowRef<T | undefined>
  failed: Ref<string>
  again(): Promise<void>
}

// useAsked asks whenever what it depends on changes, and every few seconds while the page can be seen.
export function useAsked<T>(ask: () => Promise<T>, depends: () => unknown, every = period): Asked<T> {
  const answer = shallowRef<T>()
  const failed = ref('')
  let latest = 0
  let busy = false

  async function again(): Promise<void> {
    const turn = ++latest
    busy = true
    try {
      const got = await ask()
      if (turn !== latest) return // something else has been asked since
      answer.value = got
      failed.value = ''
    } catch (error) {
      if (turn === latest) {
        failed.value = words(error)
        if (error instanceof Problem && error.status === 404) answer.value = undefined
      }
    } finally {
      if (turn === latest) busy = false
    }
  }

  watch(depends, () => void again(), { immediate: true })
  const ticks = setInterval(() => {
    if (!document.hidden && !busy) void again()
  }, every)
  onUnmounted(() => {
    latest = -1
    clearInterval(ticks)
  })
  return { answer, failed, again }
}

// words says what went wrong: in the gateway's words, or that it was not heard.
export function words(error: unknown): string {
  return error instanceof Problem ? told(error.detail) : i18n.global.t('door.unreachable')
}
