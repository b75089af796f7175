// Opens the page for the first time over a slow line and prints when there was something to see and when somebody
// could sign in, in milliseconds, and what came over the line, in bytes.
import { browser, context, done, want } from './browser.mjs'

const page = await context.newPage()
const session = await context.newCDPSession(page)
await session.send('Network.enable')
const rate = (want.mbit * 1e6) / 8
await session.send('Network.emulateNetworkConditions', { offline: false, latency: want.latency, downloadThroughput: rate, uploadThroughput: rate })
let bytes = 0
let requests = 0
session.on('Network.loadingFinished', (one) => {
  bytes += one.encodedDataLength
  requests++
})
await page.addInitScript(() => {
  const look = () => {
    const field = document.querySelector('#password')
    // Two frames later what is there has been shown.
    if (field?.checkVisibility() && !field.disabled) requestAnimationFrame(() => requestAnimationFrame(() => (window.usable = performance.now())))
    else requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
})
await page.goto(want.url, { waitUntil: 'commit' })
await page.waitForFunction(() => window.usable && performance.getEntriesByName('first-contentful-paint')[0])
const [paint, usable] = await page.evaluate(() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, window.usable])
await page.fill('#password', want.password)
await page.waitForLoadState('networkidle')
const protocol = await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol)
await done({ paint, usable, bytes, requests, protocol, browser: browser.version() })
