// Looks at one view of a gateway for a while and prints what that took: processor time of the browser's processes and
// of the gateway, in parts of one core, and what the page holds after each garbage collection.
import { browser, context, done, signIn, sleep, used, want } from './browser.mjs'

const page = await signIn()
await page.evaluate((to) => (location.hash = to), want.hash)
await page.locator(want.shown).first().waitFor()
await sleep(want.settle)
const session = await context.newCDPSession(page)
const system = await browser.newBrowserCDPSession()

async function processors() {
  const { processInfo } = await system.send('SystemInfo.getProcessInfo')
  const by = { at: performance.now() / 1000, gateway: used(want.gateway), renderer: 0, gpu: 0, rest: 0 }
  for (const { type, id } of processInfo) {
    const name = type.toLowerCase()
    by[name === 'renderer' || name === 'gpu' ? name : 'rest'] += used(id)
  }
  return by
}

async function held() {
  // What only goes with what the first collection took is gone with the second.
  for (let i = 0; i < 2; i++) await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters')
  return { second: performance.now() / 1000, heap: usedSize, nodes, listeners: jsEventListeners }
}

// The collections are ours, so that their time does not count.
const sum = { at: 0, gateway: 0, renderer: 0, gpu: 0, rest: 0 }
const samples = [await held()]
for (let left = want.seconds; left > 0; ) {
  const step = left < 120 ? left : 60
  left -= step
  const before = await processors()
  await sleep(step)
  const after = await processors()
  for (const name in sum) sum[name] += after[name] - before[name]
  samples.push(await held())
}
const { at, ...cores } = sum
for (const name in cores) cores[name] /= at
await done({ cores, samples })
