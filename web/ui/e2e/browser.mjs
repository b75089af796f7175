// A browser with the page of a running gateway, whose address and password SLUICE_URL and SLUICE_PASSWORD
// name. SLUICE_CHROMIUM names another browser than /usr/bin/chromium.
import { chromium } from 'playwright-core'

export const url = process.env.SLUICE_URL
const password = process.env.SLUICE_PASSWORD
if (!url || !password) throw new Error('set SLUICE_URL and SLUICE_PASSWORD')

export const patience = 30_000
let browser

export async function launch() {
  browser = await chromium.launch({
    executablePath: process.env.SLUICE_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

export const close = () => browser?.close()

// open shows the page to a new user; complaints collects what no page may do.
export async function open(options = {}, at = url) {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  const complaints = []
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 40[139]|Failed to load resource: net::/.test(message.text())) complaints.push(`console: ${message.text()}`)
  })
  // What the content policy stops may well be written nowhere else.
  await context.exposeFunction('sluicePolicy', (said) => complaints.push(`content policy: ${said}`))
  await context.addInitScript(() =>
    document.addEventListener('securitypolicyviolation', (event) => window.sluicePolicy(`${event.violatedDirective} stops ${event.blockedURI || event.sample} at ${event.sourceFile}:${event.lineNumber}`)),
  )
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(at).origin && !request.url().startsWith('data:')) complaints.push(`request to ${request.url()}`)
  })
  await page.goto(at)
  return { context, page, complaints }
}

// signIn comes in at the door: as the administrator of that gateway, or as somebody else.
export async function signIn(page, user = { name: 'admin', password }) {
  await page.fill('#user', user.name)
  await page.fill('#password', user.password)
  await page.keyboard.press('Enter')
  await page.waitForSelector('[data-verdict]')
}
