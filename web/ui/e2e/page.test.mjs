// Drives the page in Chromium against a running gateway:
//   SLUICE_URL=http://127.0.0.1:8080 SLUICE_PASSWORD=… npm run e2e
// SLUICE_CHROMIUM names another browser than /usr/bin/chromium. The tests of the demo's line are
// skipped on a gateway that is not the demo.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { chromium } from 'playwright-core'

import { Line } from './line.mjs'

const url = process.env.SLUICE_URL
const password = process.env.SLUICE_PASSWORD
if (!url || !password) throw new Error('set SLUICE_URL and SLUICE_PASSWORD')

const patience = 30_000
let browser

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.SLUICE_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
})

after(() => browser?.close())

// open shows the page to a new user; complaints collects what no page may do.
async function open(options = {}, at = url) {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  const complaints = []
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 40[139]|Failed to load resource: net::/.test(message.text())) complaints.push(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(at).origin && !request.url().startsWith('data:')) complaints.push(`request to ${request.url()}`)
  })
  await page.goto(at)
  return { context, page, complaints }
}

async function signIn(page) {
  await page.fill('#password', password)
  await page.keyboard.press('Enter')
  await page.waitForSelector('[data-verdict]')
}

test('a wrong password is refused in words, the right one opens the overview', async () => {
  const { context, page, complaints } = await open()
  await page.fill('#password', 'certainly wrong')
  await page.click('button[type=submit]')
  await page.getByText('User or password is wrong.').waitFor()
  await signIn(page)
  assert.equal(await page.locator('#password').count(), 0)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('values move without a reload, and the chart is drawn', async () => {
  const { context, page, complaints } = await open()
  await signIn(page)
  const devices = page.locator('[data-device]')
  assert.ok((await devices.count()) > 0, 'no device is shown')
  const first = await devices.allInnerTexts()
  await page.waitForFunction(
    (before) => [...document.querySelectorAll('[data-device]')].some((row, i) => row.innerText !== before[i]),
    first,
  )
  const drawn = await page.locator('canvas').evaluate((canvas) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    return new Set(new Uint32Array(pixels.buffer)).size
  })
  assert.ok(drawn > 3, `the chart has ${drawn} colours`)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('the language switches at once and is kept', async () => {
  const { context, page, complaints } = await open()
  await page.getByText('中文').click()
  await page.getByRole('heading', { name: '登录网关' }).waitFor()
  await signIn(page)
  await page.getByRole('heading', { name: '上行链路', exact: true }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: '设备', exact: true }).waitFor()
  assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN')
  await page.getByText('EN', { exact: true }).click()
  await page.getByRole('heading', { name: 'Devices', exact: true }).waitFor()
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a Chinese browser is greeted in Chinese', async () => {
  const { context, page } = await open({ locale: 'zh-CN' })
  await page.getByRole('heading', { name: '登录网关' }).waitFor()
  await context.close()
})

// row is the table's row of one reader of the log.
const row = (page, name) => page.locator(`[data-cursor="${name}"]`)

test('readers of the log are listed, and one in use cannot be dropped', async () => {
  const { context, page, complaints } = await open()
  await signIn(page)
  const used = page.locator('[data-cursor^="uplink/cloud/"]')
  await used.first().waitFor()
  assert.match(await used.first().innerText(), /in use/)
  assert.equal(await used.getByRole('button').count(), 0)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('an idle reader is dropped after a question, and a refusal is shown', async (t) => {
  const { context, page, complaints } = await open()
  await signIn(page)
  await page.locator('[data-cursor]').first().waitFor()
  const [idle, returned] = ['uplink/old-cloud/readings/#', 'mqtt/panel-7']
  if ((await row(page, idle).count()) === 0) return t.skip('this gateway has no idle reader')
  assert.match(await row(page, idle).innerText(), /[\d,]{5,}.*MiB.*40 min ago.*1 day ago.*never/s)
  assert.match(await row(page, returned).innerText(), /in 6 days/)

  // Nothing happens before the answer, nor after a no.
  await page.getByRole('button', { name: `Drop ${idle}` }).click()
  const question = page.getByRole('dialog', { name: 'Drop this reader?' })
  await question.getByText(idle).waitFor()
  await page.keyboard.press('Escape')
  await question.waitFor({ state: 'detached' })
  await page.getByRole('button', { name: `Drop ${idle}` }).click()
  await question.getByRole('button', { name: 'Keep it' }).click()
  await question.waitFor({ state: 'detached' })
  assert.equal(await row(page, idle).count(), 1)

  await page.getByRole('button', { name: `Drop ${idle}` }).click()
  await question.getByRole('button', { name: 'Drop it' }).click()
  await question.waitFor({ state: 'detached' })
  await row(page, idle).waitFor({ state: 'detached' })

  // The panel has come back meanwhile.
  await page.getByRole('button', { name: `Drop ${returned}` }).click()
  await question.getByRole('button', { name: 'Drop it' }).click()
  await question.getByText(`cursor "${returned}" is in use`).waitFor()
  await question.getByRole('button', { name: 'Keep it' }).click()
  assert.equal(await row(page, returned).count(), 1)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('nothing sticks out on a phone', async () => {
  const { context, page, complaints } = await open({ viewport: { width: 360, height: 740 } })
  await signIn(page)
  const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
  assert.ok(content <= width, `the page is ${content} wide on a screen of ${width}`)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a session that has ended leads back to the sign-in', async () => {
  const { context, page } = await open()
  await signIn(page)
  const ended = await context.request.delete(new URL('/api/v1/session', url).href, { headers: { 'X-Requested-With': 'sluice' } })
  assert.equal(ended.status(), 204)
  await page.getByText('The session has ended').waitFor()
  await page.waitForSelector('#password')
  await context.close()
})

test('signing out ends the session', async () => {
  const { context, page } = await open()
  await signIn(page)
  await page.getByText('Sign out').click()
  await page.waitForSelector('#password')
  const status = await page.evaluate(() => fetch('/api/v1/status').then((r) => r.status))
  assert.equal(status, 401)
  await context.close()
})

test('a gateway that falls silent or stops is said to be lost, and found again', async () => {
  const line = new Line(url)
  await line.open()
  const { context, page } = await open({}, line.url)
  try {
    await signIn(page)
    const lost = page.getByText('No connection to the gateway since')
    line.silence()
    await lost.waitFor()
    await line.close()
    await line.open()
    await lost.waitFor({ state: 'detached' })
    await page.getByText('Live', { exact: true }).waitFor()
    await line.close()
    await lost.waitFor()
    await line.open()
    await lost.waitFor({ state: 'detached' })
    await page.getByText('Live', { exact: true }).waitFor()
  } finally {
    await context.close()
    await line.close()
  }
})

test('the line is cut and restored: the backlog grows, drains, and leaves no gap', async (t) => {
  const { context, page, complaints } = await open()
  await signIn(page)
  const lever = page.locator('[data-line]')
  if ((await lever.count()) === 0) return t.skip('this gateway is not the demo')
  if ((await lever.getAttribute('data-line')) === 'down') await lever.click()
  await page.locator('[data-line=up]').waitFor()
  const number = async (name) => Number((await page.locator(`[data-test=${name}]`).innerText()).replace(/\D/g, ''))

  await page.getByRole('button', { name: 'Cut the line' }).click()
  await page.locator('[data-line=down]').waitFor()
  await page.waitForFunction(() => Number(document.querySelector('[data-test=waiting]').innerText.replace(/\D/g, '')) > 20)
  await page.locator('[data-verdict=uplinkDownWaiting], [data-verdict=uplinkBehind]').waitFor()
  const before = await number('received')

  await page.getByRole('button', { name: 'Restore the line' }).click()
  await page.locator('[data-line=up]').waitFor()
  await page.waitForFunction(() => Number(document.querySelector('[data-test=waiting]').innerText.replace(/\D/g, '')) < 20, null, { timeout: 2 * patience })
  assert.ok((await number('received')) > before, 'the cloud has received nothing since')
  assert.equal(await number('gaps'), 0)
  assert.deepEqual(complaints, [])
  await context.close()
})
