// Lets a real browser draw a chart and prints how long that took, in milliseconds: open, from another part of the
// page, and whole, with the page itself and an empty cache.
import { context, done, signIn, want } from './browser.mjs'

const page = await signIn()

const points = want.points.map((p) => p.split('/').map(encodeURIComponent).join('/')).join(',')
const hash = '#/trends?' + new URLSearchParams({ p: points, range: '24h', from: want.from, to: want.to })

// drawn goes to an address, if one is given, and waits in the page until the chart is complete and its frame has been
// shown. It gives how long that took.
const drawn = (to) =>
  new Promise((done) => {
    const began = performance.now()
    if (to) location.hash = to
    const look = () => {
      if (document.querySelector('[data-test=chart][data-complete=true] canvas')) requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)))
      else requestAnimationFrame(look)
    }
    look()
  })

// Once for the parts of the page that are fetched when they are asked for.
await page.evaluate((to) => (location.hash = to), '#/trends')
await page.waitForSelector('[name=point]')
await page.evaluate((to) => (location.hash = to), '#/connections')
await page.waitForSelector('[name=point]', { state: 'detached' })
const open = await page.evaluate(drawn, hash)

const fresh = await context.newPage()
const session = await fresh.context().newCDPSession(fresh)
await session.send('Network.setCacheDisabled', { cacheDisabled: true })
const began = performance.now()
await fresh.goto(want.url + '/' + hash, { waitUntil: 'commit' })
await fresh.evaluate(drawn)
const whole = performance.now() - began
await done({ open, whole })
