// How far the first run is, as this page knows it.

import { computed, reactive, watch } from 'vue'

import { apply, loadConfig } from './config'
import { page, status, typed } from './live'
import { addressOf, go, place } from './route'
import { draftOf, editsOf, keep, nextStep, opens, reminds, setupState, type Checklist, type Draft, type StepName } from './setup'

export const run = reactive({
  list: undefined as Checklist | undefined,
  left: false, // somebody has gone to the other parts of the page
})

export const draft = computed(() => draftOf(run.list))
export const reminded = computed(() => run.list !== undefined && page.administrator && status.value !== undefined && reminds(run.list, status.value))

// refresh asks how far things are; what the gateway sees by itself may have changed.
export async function refresh(): Promise<void> {
  run.list = (await setupState()).checklist
}

// follow asks whenever somebody has signed in, and leads to the first run on a gateway that has nothing to do.
export function follow(): void {
  watch(
    () => page.phase === 'live' && status.value !== undefined,
    async (live) => {
      if (!live) {
        if (page.phase === 'signin') run.list = undefined
        return
      }
      try {
        await refresh()
      } catch {
        return // an older gateway, or one that is just going away: the page works without
      }
      if (run.list?.password !== false) typed.password = ''
      if (run.list && status.value && page.administrator && !run.left && place.value.view === 'overview' && opens(run.list, status.value)) lead()
    },
  )
}

// lead goes to a step, or to the first that is left.
export function lead(step?: StepName): void {
  go(addressOf('setup', step ?? (run.list && nextStep(run.list)) ?? 'start'))
}

export async function leave(): Promise<void> {
  run.left = true
  go(addressOf('overview'))
}

// finish notes a step as done, with what was chosen in it, and goes on.
export async function finish(step: StepName, chosen?: Draft | null): Promise<void> {
  const list = run.list
  run.list = await keep({
    done: [...doneByHand(list), step],
    skipped: (list?.skipped ?? []).filter((s) => s !== step) as StepName[],
    ...(chosen === undefined ? {} : { draft: chosen }),
  })
  if (step !== 'start') lead()
}

// start lets run what was chosen: one change of the configuration, after which there is no draft.
export async function start(chosen: Draft): Promise<void> {
  const { etag } = await loadConfig()
  await apply({ edits: editsOf(chosen) }, etag)
  run.list = await keep({ draft: null })
}

export async function skip(step: StepName): Promise<void> {
  run.list = await keep({ skipped: [...((run.list?.skipped ?? []) as StepName[]).filter((s) => s !== step), step] })
  lead(step === 'start' ? 'start' : undefined)
}

export async function dismiss(): Promise<void> {
  run.list = await keep({ dismissed: true })
}

// doneByHand is what the page may note: the password is the gateway's to see.
function doneByHand(list: Checklist | undefined): StepName[] {
  return list ? (['time', 'device', 'uplink', 'start'] as const).filter((step) => list[step]) : []
}
