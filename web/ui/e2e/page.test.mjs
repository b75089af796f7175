// Drives the page in Chromium against a running gateway:
//   SLUICE_URL=http://127.0.0.1:8080 SLUICE_PASSWORD=… npm run e2e
// The tests of the demo's line are skipped on a gateway that is not the demo.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { close, launch, open, patience, signIn, url } from './browser.mjs'
import { Line } from './line.mjs'

before(launch)
after(close)

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

test('a route that was left behind is told of, and asked about before it goes', async (t) => {
  const { context, page, complaints } = await open()
  await signIn(page)
  const left = page.locator('[data-abandoned="uplink/old-cloud/readings/#"]')
  if ((await left.count()) === 0) return t.skip('this gateway has left nothing behind')
  assert.match(await left.innerText(), /Uplink old-cloud is no longer configured\..*keeps [\d,]{5,} messages \([\d.]+ MiB\) for readings\/#\./s)
  await page.getByText(/Uplink old-cloud is no longer configured and keeps/).waitFor()
  await left.getByRole('button', { name: 'Drop what old-cloud keeps for readings/#' }).click()
  const question = page.getByRole('dialog', { name: 'Drop this reader?' })
  await question.getByText('uplink/old-cloud/readings/#').waitFor()
  await question.getByRole('button', { name: 'Keep it' }).click()
  await question.waitFor({ state: 'detached' })
  assert.equal(await left.count(), 1)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('an uplink is tested step by step', async () => {
  const { context, page, complaints } = await open()
  await signIn(page)
  await page.getByRole('button', { name: 'Test cloud' }).click()
  const dialog = page.getByRole('dialog', { name: 'Test of uplink cloud' })
  await dialog.locator('[data-result=ok]').waitFor()
  const steps = await dialog.locator('[data-step]').evaluateAll((list) => list.map((step) => `${step.dataset.step} ${step.dataset.state}`))
  assert.deepEqual(steps.slice(-3), ['logged in ok', 'published ok', 'acknowledged ok'])
  assert.ok(steps.includes('port open ok'), steps.join())
  await dialog.getByText('Port open', { exact: true }).waitFor()
  await dialog.getByRole('button', { name: 'Test again' }).click()
  await dialog.locator('[data-result=ok]').waitFor()
  assert.equal(await dialog.locator('[data-step]').count(), steps.length)
  await dialog.getByRole('button', { name: 'Close' }).click()
  await dialog.waitFor({ state: 'detached' })
  assert.deepEqual(complaints, [])
  await context.close()
})

test('what was set aside is listed with its reason, and sent again by its uplink', async (t) => {
  const { context, page, complaints } = await open()
  await signIn(page)
  await page.locator('[data-uplink=cloud] a[href*=aside]').click()
  await page.getByRole('heading', { name: 'Set aside by cloud' }).waitFor()
  await page.locator('[data-position]').or(page.locator('[data-test=nothing]')).first().waitFor()
  if ((await page.locator('[data-position="7"]').count()) === 0) return t.skip('this gateway is not that of the tests')
  assert.match(await page.locator('[data-position="7"]').innerText(), /readings\/line-3\/press\s+the message is too large/)
  await page.locator('[data-position="7"]').getByRole('link').click()
  await page.getByRole('dialog', { name: 'Message at 7' }).getByRole('button', { name: 'Send again …' }).click()
  const question = page.getByRole('dialog', { name: 'Send this message again?' })
  await question.getByText('A copy goes to readings/line-3/press.').waitFor()
  await question.getByText('Of the uplinks cloud alone forwards it').waitFor()
  assert.equal(await question.getByRole('combobox').count(), 0)
  await question.getByRole('button', { name: 'Send the copy' }).click()
  await question.getByText('The copy is stored in readings/line-3/press.').waitFor()
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

// visit goes to one of the page's parts by its link.
const tabs = { Topics: 'Messages', Groups: 'Messages', Connections: 'Messages' }
async function visit(page, name) {
  const parts = page.getByRole('navigation', { name: 'Parts of the page' })
  await parts.getByRole('link', { name: tabs[name] ?? name, exact: true }).click()
  if (tabs[name]) await page.getByRole('navigation', { name: tabs[name] }).getByRole('link', { name, exact: true }).click()
}

test('a line shows its devices, every frame as it passes, and what is wrong', async () => {
  const { context, page, complaints } = await open()
  await signIn(page)
  await page.getByRole('link', { name: 'Lines' }).click()
  await page.locator('[data-bus]').first().getByRole('link').click()
  await page.locator('[data-device]').first().waitFor()
  const frames = page.locator('[data-frame]')
  await frames.nth(1).waitFor()
  assert.match(await frames.first().innerText(), /\d\d:\d\d:\d\d\.\d{3}/)
  assert.match((await frames.locator('code').allInnerTexts()).join('\n'), /^([0-9A-F]{2} ){4,}/m)
  const wrong = page.getByLabel('only what is wrong')
  await wrong.check()
  await page.waitForFunction(() => [...document.querySelectorAll('[data-frame]')].every((frame) => frame.classList.contains('wrong')))
  await wrong.uncheck()
  const file = page.waitForEvent('download')
  await page.getByRole('link', { name: 'For Wireshark (pcapng)' }).click()
  assert.equal((await file).suggestedFilename(), 'bus.pcapng')
  assert.deepEqual(complaints, [])
  await context.close()
})

test('topics are found among many, and lead to their queues, readers and messages', async () => {
  const { context, page, complaints } = await open()
  await signIn(page)
  await visit(page, 'Topics')
  const rows = page.locator('[data-topic]')
  await rows.first().waitFor()
  assert.ok((await rows.count()) <= 50, 'the list is not bounded')
  const next = page.getByRole('button', { name: 'Next', exact: true })
  if ((await next.count()) > 0) {
    const before = await rows.first().getAttribute('data-topic')
    await next.click()
    await page.waitForFunction((was) => document.querySelector('[data-topic]')?.dataset.topic !== was, before)
    await page.getByText(/^51–100 of /).waitFor()
  }
  await page.fill('input[name=search]', 'no such topic')
  await page.getByText('No name contains “no such topic”.').waitFor()
  await page.fill('input[name=search]', '')
  const name = await rows.last().getAttribute('data-topic')
  await page.fill('input[name=search]', name)
  await page.waitForFunction(() => document.querySelectorAll('[data-topic]').length === 1)
  await rows.getByRole('link').click()
  await page.getByRole('heading', { name, exact: true }).waitFor()
  await page.locator('[data-queue]').first().waitFor()
  await page.getByRole('link', { name: 'See its messages' }).click()
  assert.equal(await page.inputValue('input[name=topic]'), name)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a search asks for a topic or a key, and says when nothing is found', async () => {
  const { context, page, complaints } = await open()
  await signIn(page)
  await visit(page, 'Messages')
  await page.getByText('Name a topic to see its latest messages').waitFor()
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByText('Name a topic, a key or an id').waitFor()
  await page.fill('input[name=key]', 'a key that no message has')
  await page.keyboard.press('Enter')
  await page.locator('[data-test=nothing]').waitFor()
  await page.reload()
  await page.locator('[data-test=nothing]').waitFor()
  assert.equal(await page.inputValue('input[name=key]'), 'a key that no message has')
  assert.deepEqual(complaints, [])
  await context.close()
})

// theReading opens a message of the tests' gateway, which is a reading; undefined elsewhere.
async function theReading(page) {
  await signIn(page)
  if ((await page.locator('[data-cursor="mqtt/panel-7"]').count()) === 0) return undefined
  await visit(page, 'Messages')
  await page.fill('input[name=topic]', 'orders/line-3')
  await page.keyboard.press('Enter')
  await page.getByText('All of topic orders is searched').waitFor()
  await page.getByText('the newest first').waitFor()
  await page.locator('[data-position="2"]').getByRole('link').click()
  return page.getByRole('dialog', { name: 'Message at 2' })
}

test('a message is shown with its values, its track and its properties', async (t) => {
  const { context, page, complaints } = await open()
  const drawer = await theReading(page)
  if (!drawer) return t.skip('this gateway is not that of the tests')
  assert.match(await drawer.locator('[data-point=counter]').innerText(), /7$/)
  assert.match(await drawer.locator('[data-point=pressure]').innerText(), /exception 2$/)
  await drawer.getByRole('button', { name: 'JSON' }).click()
  await drawer.getByText('"device": "press"').waitFor()
  await drawer.getByRole('button', { name: 'Bytes' }).click()
  await drawer.getByText(/^0000 {2}7b 22 67 .*\{"g/).waitFor()
  assert.equal(await drawer.locator('[data-group=billing]').getAttribute('data-state'), 'waiting')
  await drawer.getByText('Without a place in this topic: archive').waitFor()
  await drawer.getByText('KEYS', { exact: true }).waitFor()
  await page.keyboard.press('Escape')
  await page.waitForURL((address) => !address.hash.includes('at=')) // a dialog is gone before it has told the page so
  await page.goBack()
  await drawer.waitFor()
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a message is sent again after a question, and a refusal is shown in words', async (t) => {
  const { context, page, complaints } = await open()
  const drawer = await theReading(page)
  if (!drawer) return t.skip('this gateway is not that of the tests')
  await drawer.getByRole('button', { name: 'Send again …' }).click()
  const question = page.getByRole('dialog', { name: 'Send this message again?' })
  await question.getByText('Every group and every MQTT subscriber').waitFor()
  await question.getByRole('combobox').selectOption('billing')
  await question.getByText('A copy is put on the retry topic of group billing').waitFor()
  await question.getByRole('button', { name: 'Send the copy' }).click()
  await question.getByText('See it at position 9').waitFor()
  await question.getByRole('button', { name: 'Close' }).click()
  await page.goto(new URL('/#/messages?at=3', url).href)
  await page.getByRole('dialog', { name: 'Message at 3' }).getByRole('button', { name: 'Send again …' }).click()
  await question.getByRole('button', { name: 'Send the copy' }).click()
  await question.getByText('it waits for its producer').waitFor()
  await question.getByRole('button', { name: 'Cancel' }).click()
  await page.goto(new URL('/#/messages?at=4', url).href)
  await page.getByRole('dialog', { name: 'Message at 4' }).getByText('no message at 4').waitFor()
  assert.deepEqual(
    complaints.filter((complaint) => !/status of 40[49]/.test(complaint)),
    [],
  )
  await context.close()
})

test('a group is set to another time only after it was said what that does', async (t) => {
  const { context, page, complaints } = await open()
  await signIn(page)
  await visit(page, 'Groups')
  await page.locator('[data-group]').or(page.getByText('There is no consumer group yet')).first().waitFor()
  if ((await page.locator('[data-group=billing]').count()) === 0) return t.skip('this gateway is not that of the tests')
  const row = page.locator('[data-group=billing]')
  assert.match(await row.innerText(), /billing\s+2\s+2\s+shared \(clustering\)\s+1/)
  await row.getByRole('link').click()
  await page.getByRole('button', { name: 'Reset in orders' }).click()
  const question = page.getByRole('dialog', { name: 'Set where the group goes on?' })
  const yes = question.getByRole('button', { name: 'Set it' })
  assert.ok(await yes.isDisabled(), 'it can be set to no time')
  await question.getByLabel('at a time').last().fill('2026-11-23T08:00:00')
  await question.getByText('goes on with the first message stored at 2026-11-23 08:00:00.000 or later').waitFor()
  await question.getByText('2 consumers are connected').waitFor()
  await question.getByLabel('with new messages only').check()
  await question.getByText('not delivered to this group any more').waitFor()
  await yes.click()
  await question.getByText(/Queue 0\s*– → 2/).waitFor()
  await question.getByRole('button', { name: 'Close' }).click()
  assert.deepEqual(complaints, [])
  await context.close()
})

test('the page says who listens, and warns of RocketMQ without keys', async (t) => {
  const { context, page, complaints } = await open()
  await signIn(page)
  const warned = await page.getByText('can read, write and delete over RocketMQ').count()
  await visit(page, 'Connections')
  await page.locator('[data-listener=mqtt] .listen').waitFor()
  if (warned === 0) {
    await page.locator('[data-listener=rocketmq]').waitFor()
    return t.skip('RocketMQ is not open to all here')
  }
  await page.locator('[data-access=open]').getByText('Anybody who reaches [::]:10911 can read').waitFor()
  assert.deepEqual(complaints, [])
  await context.close()
})

// answered puts the gateway's answers about points in place: what is tried is what the page makes of them.
async function answered(page, asked = []) {
  const json = (body, status = 200) => ({ status, contentType: 'application/json', body: JSON.stringify(body) })
  const meanings = [
    { at: 0, type: 'uint16', order: 'AB', registers: 1, value: 17254, text: '17254', plausible: false },
    { at: 0, type: 'float32', order: 'ABCD', registers: 2, value: 230.4, text: '230.4', plausible: true },
    { at: 0, type: 'float32', order: 'CDAB', registers: 2, value: 2.7e23, text: '2.7e+23', plausible: false },
    { at: 1, type: 'uint16', order: 'AB', registers: 1, value: 26214, text: '26214', plausible: false },
  ]
  const requests = [
    { group: '', area: 'input', function: 4, address: 30, count: 12, points: ['temperature', 'pressure'], unwanted: 8, reason: { en: 'gap of 90 input registers; at most 64 are read along', zh: '…' } },
    { group: 'slow', area: 'holding', function: 3, address: 7, count: 1, points: ['counter'], unwanted: 0 },
  ]
  const groups = [{ group: '', interval_ms: 100, requests: 1, points: 2 }, { group: 'slow', interval_ms: 60000, requests: 1, points: 1 }]
  const lessons = [{ text: { en: 'holding register 9 is refused', zh: '…' }, since: '2026-11-23T08:00:00Z' }]
  const file = { format: 'plain', file: 'csv', rows: 3 }
  const columns = [{ header: 'NAME', column: 'name' }, { header: 'x', column: '' }]
  const answers = {
    'GET /devices/plan?device=press': json({ device: 'press', summary: '', groups, requests, learned: [], lessons }),
    'POST /registers': json({ device: 'press', area: 'input', address: 30, at: '2026-11-23T08:00:00Z', words: ['4366', '6666'], interpretations: meanings }),
    'GET /devices/points?device=press&format=csv': { status: 200, contentType: 'text/csv', headers: { 'Content-Disposition': 'attachment; filename="press-points.csv"' }, body: 'name\n' },
    'GET /devices/points?device=press&format=csv&problems=true': json({ problems: [{ row: 1, text: 'an enumeration fits in no cell', warning: true }] }),
    'GET /devices/points?device=press&format=neuron': json({ title: 'Unprocessable Content', detail: 'Neuron has no type bcd32' }, 422),
    'POST /points/import': json({ ...file, columns, stations: ['1', '2'], points: [{ row: 2 }, { row: 3 }], problems: [{ row: 4, column: 'NAME', text: 'is missing' }], yaml: '' }),
    'POST /points/import?station=2': json({ ...file, columns, stations: ['1', '2'], points: [{ row: 3 }], problems: [], yaml: 'points:\n  - {name: second}\n' }),
    'POST /points/import?station=2&column=unit%3A1': json({ ...file, columns: [columns[0], { header: 'x', column: 'unit' }], stations: ['1', '2'], points: [{ row: 3 }], problems: [], yaml: 'points:\n  - {name: second, unit: W}\n' }),
    'GET /profiles': json({ items: [
      { name: 'eastron-sdm630', kind: 'modbus', category: 'power-meter', title: 'Eastron SDM630', vendor: 'Eastron', summary: { en: 'Energy meter', zh: '电能表' }, points: 42, sources: ['https://example.com/sdm630.pdf page 3', 'DL/T 645-2007'] },
      { name: 'cjt188-water', kind: 'cjt188', category: 'water-meter', title: 'Water meter', vendor: 'any', summary: { en: 'Water meter', zh: '水表' }, points: 4, sources: [] },
    ] }),
    'GET /profiles/file?name=eastron-sdm630': { status: 200, contentType: 'application/yaml', body: 'name: eastron-sdm630\n' },
  }
  await page.route('**/api/v1/{devices,points,registers,profiles}**', answer)
  await page.route('**/api/v1/{devices,points,profiles}/**', answer)
  function answer(route) {
    const { pathname, search } = new URL(route.request().url())
    const planless = pathname.endsWith('/devices/plan') && json({ title: 'Unprocessable Content', detail: 'driver dlt645 has no plan' }, 422)
    const found = answers[`${route.request().method()} ${pathname.slice('/api/v1'.length)}${search}`]
    asked.push({ path: pathname + search, body: route.request().postData() })
    return route.fulfill(found || planless || json({ title: 'Not Found', detail: `nobody asks for ${pathname}${search}` }, 404))
  }
}

const notRefused = (complaints) => complaints.filter((complaint) => !/status of 422/.test(complaint))

test('a device leads to its points, how it is asked, and what its registers mean', async (t) => {
  const { context, page, complaints } = await open()
  const asked = []
  await answered(page, asked)
  await signIn(page)
  if ((await page.locator('[data-device=press]').count()) === 0) return t.skip('this gateway is not that of the tests')
  await page.locator('[data-device=press]').getByRole('link', { name: 'press' }).click()
  await page.getByRole('heading', { name: 'press', level: 1 }).waitFor()
  await page.locator('[data-point=temperature]').getByText('°C').waitFor()
  const request = page.locator('[data-request="input:30"]')
  assert.match(await request.innerText(), /Input registers 30–41\s+function 4 · 30031\s+Own points\s+12\s*8 unneeded\s+temperature, pressure\s+gap of 90/)
  await page.getByText('slow, every 1 min: 1 request for 1 point').waitFor()
  await page.locator('[data-learned]').getByText('holding register 9 is refused').waitFor()

  // The form begins where the device is asked anyway, and refuses what is no address.
  assert.equal(await page.inputValue('input[name=address]'), '30')
  await page.fill('input[name=address]', '70000')
  await page.getByRole('button', { name: 'Read once' }).click()
  await page.getByText('This is no address.').waitFor()
  assert.equal(asked.filter((one) => one.path.endsWith('/registers')).length, 0)
  await page.fill('input[name=address]', '300031')
  await page.fill('input[name=count]', '2')
  await page.getByRole('button', { name: 'Read once' }).click()
  const meanings = page.locator('[data-test=meanings]')
  await meanings.waitFor()
  assert.deepEqual(JSON.parse(asked.find((one) => one.path.endsWith('/registers')).body), { device: 'press', area: 'input', address: 30, count: 2 })
  await page.fill('input[name=display]', '230,4')
  const right = meanings.locator('[data-type=float32] [data-order=ABCD]')
  await page.waitForFunction(() => document.querySelectorAll('[data-test=meanings] .match').length === 1)
  await right.click()
  assert.equal(await meanings.locator('[data-test=code]').innerText(), '- {name: point, address: "input:30", type: float32, order: ABCD}')
  await meanings.getByRole('button', { name: '31 6666' }).click()
  await meanings.getByText('Nothing that begins here means this.').waitFor()

  const file = page.waitForEvent('download')
  await page.locator('[data-export=csv]').click()
  assert.equal((await file).suggestedFilename(), 'press-points.csv')
  await page.getByText('an enumeration fits in no cell').waitFor()
  await page.locator('[data-export=neuron]').click()
  await page.getByText('Neuron has no type bcd32').waitFor()
  await page.goto(url)
  await page.locator('[data-device$=meter]').getByRole('link').click()
  await page.getByRole('heading', { name: 'How it is asked' }).waitFor({ state: 'detached' }) // a driver without a plan
  assert.deepEqual(notRefused(complaints), [])
  await context.close()
})

test('a table of points becomes text for the configuration, and rows that are wrong are named', async () => {
  const { context, page, complaints } = await open({ permissions: ['clipboard-read', 'clipboard-write'] })
  const asked = []
  await answered(page, asked)
  await signIn(page)
  await page.getByRole('link', { name: 'Import points' }).click()
  await page.setInputFiles('input[type=file]', { name: 'tags.csv', mimeType: 'text/csv', buffer: Buffer.from('NAME,x\na,b\n') })
  await page.locator('[data-test=imported]').waitFor()
  assert.equal(asked.at(-1).body, 'NAME,x\na,b\n')
  assert.match(await page.locator('[data-test=imported]').innerText(), /Plain table\s*CSV\s+Rows\s+3\s+Points\s+2\s+Rows left out\s+1/)
  assert.match(await page.locator('[data-problem]').innerText(), /Row 4\s+NAME\s+is missing/)
  assert.equal(await page.getByLabel('Column x is').inputValue(), '')
  await page.getByLabel('2', { exact: true }).check()
  await page.getByText('{name: second}').waitFor()
  await page.getByText('Every row has become a point.').waitFor()
  await page.getByRole('button', { name: 'Copy' }).click()
  await page.getByRole('button', { name: 'Copied' }).waitFor()
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'points:\n  - {name: second}\n')

  // Most browsers keep the clipboard from a page that came over plain HTTP.
  await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }))
  await page.getByLabel('Column x is').selectOption('unit')
  await page.getByText('{name: second, unit: W}').waitFor()
  await page.getByRole('button', { name: 'Copy' }).click()
  await page.getByRole('button', { name: 'Copied' }).waitFor()
  assert.deepEqual(complaints, [])
  await context.close()
})

test('profiles are found by their words, and lead to their sources and their file', async () => {
  const { context, page, complaints } = await open()
  await answered(page)
  await signIn(page)
  await page.getByRole('link', { name: 'Device profiles' }).click()
  await page.getByText('2 of 2').waitFor()
  await page.fill('input[name=search]', 'power eastron')
  await page.getByText('1 of 2').waitFor()
  await page.getByRole('link', { name: 'eastron-sdm630' }).click()
  await page.getByText('profile: eastron-sdm630', { exact: true }).waitFor()
  await page.getByText('name: eastron-sdm630', { exact: true }).waitFor()
  assert.equal(await page.getByRole('link', { name: 'https://example.com/sdm630.pdf' }).getAttribute('rel'), 'noopener noreferrer')
  await page.getByText('DL/T 645-2007').waitFor()
  assert.deepEqual(complaints, [])
  await context.close()
})

test('nothing sticks out on a phone', async () => {
  const { context, page, complaints } = await open({ viewport: { width: 360, height: 740 } })
  await answered(page)
  await signIn(page)
  for (const view of ['', 'buses', 'buses/rs485-1', 'messages?topic=orders', 'messages?topic=orders&range=between', 'messages?at=2', 'topics', 'topics/orders', 'groups', 'groups/billing', 'connections', 'aside/cloud', 'aside/cloud?at=7', 'devices/press', 'devices/meter', 'import', 'profiles', 'profiles/eastron-sdm630']) {
    await page.goto(new URL('/#/' + view, url).href)
    await page.waitForLoadState('networkidle', { timeout: 1500 }).catch(() => {}) // the stream of events never ends
    const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
    assert.ok(content <= width, `the page ${view} is ${content} wide on a screen of ${width}`)
  }
  assert.deepEqual(
    notRefused(complaints).filter((complaint) => !/status of 404/.test(complaint)),
    [],
  )
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
