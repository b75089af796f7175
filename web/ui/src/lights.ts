// The four lights of a way to the cloud: what the steps of its test come to.

import type { TestStep } from './api'

export const lights = ['name', 'port', 'certificate', 'login'] as const
export type Light = (typeof lights)[number]

export interface Shown {
  state: 'waiting' | 'busy' | 'good' | 'bad' | 'none' // none: this way to the cloud has no such thing
  detail: string
}

// Steps of a test have the names of the API, and older ones those that a person reads.
const meant: [RegExp, Light][] = [
  [/^(resolve|name)/, 'name'],
  [/^(tls|certificate|encrypt|handshake)/, 'certificate'],
  [/^(connect|port|proxy)/, 'port'],
  [/^(login|logged|connack|accepted|publish|acknowledg|answer)/, 'login'],
]

export const lightOf = (step: string): Light | undefined => meant.find(([form]) => form.test(step.toLowerCase()))?.[1]

// show says what each light is after some steps. A light that no step spoke of is none once a later one
// has been spoken of: an address in digits needs no name, a plain connection no certificate.
export function show(steps: TestStep[], running: boolean, ok: boolean | undefined): Record<Light, Shown> {
  const shown = Object.fromEntries(lights.map((light) => [light, { state: 'waiting', detail: '' }])) as Record<Light, Shown>
  let last = -1
  for (const step of steps) {
    const light = lightOf(step.step)
    if (!light) continue
    last = Math.max(last, lights.indexOf(light))
    const before = shown[light]
    if (before.state === 'bad') continue
    shown[light] = { state: step.error ? 'bad' : 'good', detail: step.error ?? step.detail ?? before.detail }
  }
  const failed = lights.some((light) => shown[light].state === 'bad')
  lights.forEach((light, i) => {
    if (shown[light].state === 'waiting' && (i < last || ok)) shown[light].state = 'none'
  })
  const next = lights.find((light, i) => i > last && shown[light].state === 'waiting')
  if (running && !failed && next) shown[next].state = 'busy'
  return shown
}
