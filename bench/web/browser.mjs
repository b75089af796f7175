// What the scripts that drive a browser share: what is wanted, as the one argument, and a browser.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

export const want = JSON.parse(process.argv[2])
const { chromium } = createRequire(join(want.modules, 'package.json'))('playwright-core')

export const browser = await chromium.launch({
  executablePath: process.env.SLUICE_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
export const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 900 }, ignoreHTTPSErrors: true })

export const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000))

// used is the processor time of a process in seconds. The kernel counts in hundredths; user and system time are fields
// 14 and 15.
export function used(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

// signIn gives the page when somebody has signed in.
export async function signIn() {
  const page = await context.newPage()
  await page.goto(want.url)
  await page.fill('#password', want.password)
  await page.keyboard.press('Enter')
  await page.waitForSelector('[data-verdict]').catch(async (error) => {
    throw new Error(`nobody was let in: ${await page.innerText('body')}`, { cause: error })
  })
  return page
}

// done prints what was measured and ends.
export async function done(measured) {
  console.log(JSON.stringify(measured))
  await browser.close()
}
