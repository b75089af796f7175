import { ref, watchEffect } from 'vue'

export type Theme = 'auto' | 'light' | 'dark'

const system = window.matchMedia('(prefers-color-scheme: dark)')
const systemDark = ref(system.matches)
system.addEventListener('change', () => (systemDark.value = system.matches))

export const theme = ref<Theme>(stored())
export const dark = ref(false)

watchEffect(() => {
  dark.value = theme.value === 'dark' || (theme.value === 'auto' && systemDark.value)
  document.documentElement.classList.toggle('dark', dark.value)
  localStorage.setItem('theme', theme.value)
})

function stored(): Theme {
  const kept = localStorage.getItem('theme')
  return kept === 'light' || kept === 'dark' ? kept : 'auto'
}

export function nextTheme(): void {
  theme.value = theme.value === 'auto' ? (systemDark.value ? 'light' : 'dark') : theme.value === 'light' ? 'dark' : 'light'
}
