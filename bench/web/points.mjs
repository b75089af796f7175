// Pastes rows into the editor of points, with a wrong address in every 500th, and prints how long it took until the
// problems were shown, and the longest tasks of the page while it scrolls through them, in milliseconds.
import { done, signIn, used, want } from './browser.mjs'

const page = await signIn()
await page.evaluate((to) => (location.hash = to), '#/points/' + want.device)
await page.locator('.tabulator-row').first().waitFor()
await page.locator('[data-test=state]').getByText('No problems.').waitFor()
await page.locator('.tabulator-row:nth-child(1) [tabulator-field="name"]').click()

const rows = ['name\taddress\ttype\tscale\tunit']
for (let i = 0; i < want.rows; i++) rows.push(`point_${i}\t${i % 500 === 499 ? 'nowhere' : 'holding:' + i}\tuint16\t0.1\t°C`)

const before = used(want.gateway)
const checked = await page.evaluate((text) => {
  const data = new DataTransfer()
  data.setData('text/plain', text)
  const began = performance.now()
  document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
  return new Promise((done) => {
    const look = () => {
      if (document.querySelector('[data-test=problems] li')) requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)))
      else requestAnimationFrame(look)
    }
    look()
  })
}, rows.join('\r\n'))
const gateway = (used(want.gateway) - before) * 1000
// Of that, what the gateway took for its answer to the whole, the way there and back included.
const check = await page.evaluate(() => Math.max(0, ...performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/config/preview')).map((one) => one.duration)))
const problems = await page.locator('[data-test=problems] li').count()

// Slowly through the first rows and then in great steps, as with a wheel and with the bar at the side.
const scrolled = await page.evaluate(async () => {
  const tasks = []
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: 'longtask' })
  const holder = document.querySelector('.tabulator-tableholder')
  const frames = []
  let last = performance.now()
  for (let i = 0; i < 120; i++) {
    holder.scrollTop += i < 60 ? 90 : 1200
    await new Promise((frame) => requestAnimationFrame(frame))
    frames.push(performance.now() - last)
    last = performance.now()
  }
  await new Promise((rest) => setTimeout(rest, 200)) // the observer is told late
  return { task: Math.max(0, ...tasks), tasks: tasks.length, frame: frames.sort((a, b) => a - b)[Math.floor(frames.length * 0.95)], top: holder.scrollTop }
})
await done({ checked, check, gateway, problems, ...scrolled })
