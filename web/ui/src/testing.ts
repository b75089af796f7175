import { ref } from 'vue'

import type { TestResult, TestStep } from './api'
import { i18n } from './lang'
import { words } from './list'

// useTest keeps what is known of a test as it goes.
export function useTest() {
  const steps = ref<TestStep[]>([])
  const result = ref<TestResult>()
  const failed = ref('')
  const busy = ref(false)
  let leaving = new AbortController()

  async function run(test: (signal: AbortSignal, heard: (step: TestStep) => void) => Promise<TestResult>): Promise<void> {
    leaving = new AbortController()
    steps.value = []
    result.value = undefined
    failed.value = ''
    busy.value = true
    try {
      result.value = await test(leaving.signal, (step) => steps.value.push(step))
    } catch (error) {
      const { t } = i18n.global
      failed.value = t('lists.failed', { detail: steps.value.length > 0 ? t('test.cut') : words(error) })
    } finally {
      busy.value = false
    }
  }

  return { steps, result, failed, busy, run, leave: () => leaving.abort() }
}
