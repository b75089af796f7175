// A change of the page's address that has to be confirmed: what waits, and how the page that has arrived
// there confirms it.

import { ref, watch } from 'vue'

import { configState, confirm } from './config'
import { page } from './live'
import { addressOf, place, swap } from './route'

export const waiting = ref<{ id: string; until: string }>()

const every = 10_000 // milliseconds between two looks

// look asks whether a change waits.
export async function look(): Promise<void> {
  try {
    waiting.value = (await configState()).pending
  } catch {
    // the page says by itself that the gateway is not heard
  }
}

// arrived confirms the change that led here.
async function arrived(id: string): Promise<void> {
  const { view, name } = place.value
  try {
    await confirm(id)
  } catch {
    // it is confirmed already, or was taken back
  }
  swap(addressOf(view, name))
  await look()
}

// follow looks whenever somebody who may confirm is signed in.
export function follow(): void {
  let ticks = 0
  watch(
    () => page.phase === 'live' && page.administrator,
    (live) => {
      clearInterval(ticks)
      waiting.value = undefined
      if (!live) return
      const id = place.value.query.get('confirm')
      void (id ? arrived(id) : look())
      ticks = window.setInterval(() => {
        if (!document.hidden) void look()
      }, every)
    },
    { immediate: true },
  )
}
