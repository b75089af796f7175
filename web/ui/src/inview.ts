import { nextTick, watch, type Ref } from 'vue'

import { place } from './route'

// keepInView moves a list of links that is wider than its window sideways, so that the current one is seen.
export function keepInView(list: Ref<HTMLElement | undefined>): void {
  watch(
    [list, () => place.value.view],
    async () => {
      await nextTick()
      const current = list.value?.querySelector<HTMLElement>('[aria-current]')
      if (!list.value || !current) return
      const { left, width } = current.getBoundingClientRect()
      list.value.scrollLeft += left + width / 2 - (list.value.getBoundingClientRect().left + list.value.clientWidth / 2)
    },
    { immediate: true },
  )
}
