// Drives the search for devices in Chromium, as page.test.mjs does the rest, on a gateway whose answers
// about searches are those of searches.mjs.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { close, launch, open, signIn, url } from './browser.mjs'
import { crowd, meters, Searches } from './searches.mjs'

before(launch)
after(close)

// begin opens the page of a gateway that can search.
async function begin(options = {}) {
  const { context, page, complaints } = await open({ permissions: ['clipboard-read', 'clipboard-write'], ...options })
  const searches = new Searches()
  await searches.on(page)
  await signIn(page)
  return { context, page, searches, complaints }
}

const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText())

test('a line is searched: what is asked, who answers, and what that is in the configuration', async () => {
  const { context, page, complaints, searches } = await begin()
  await page.getByRole('link', { name: 'Lines' }).click()
  await page.getByRole('main').getByRole('link', { name: 'Find devices' }).click()
  await page.getByLabel('CJ/T 188').uncheck()
  await page.locator('[data-test=estimate]').getByText(/^303 questions, about 1 min \d+ sec if nobody answers/).waitFor()
  await page.getByLabel('these:').check()
  await page.getByLabel('19200').uncheck()
  await page.getByLabel('4800').uncheck()
  await page.locator('[name=units]').fill('1-32, 100')
  await page.locator('[data-test=estimate]').getByText(/^144 questions, about 5\d sec if nobody answers/).waitFor()
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByRole('heading', { name: 'Search on rs485-1' }).waitFor()
  assert.deepEqual(searches.asked, [{ kind: 'line', bus: 'rs485-1', protocols: ['modbus-rtu', 'dlt645'], bauds: [2400, 9600], parities: ['none', 'even'], units: '1-32,100' }])
  await page.getByText('Nobody has answered yet.').waitFor()

  const search = searches.newest
  searches.move(search, 120, 'modbus-rtu, 9600 8N1, unit 18')
  search.found.push(meters[0])
  await page.getByText('modbus-rtu, 9600 8N1, unit 18').waitFor()
  const progress = page.locator('[data-test=progress]')
  assert.match(await progress.innerText(), /25 % · 120 of 480 questions\s+about 1 min 52 sec left/)
  assert.equal(await page.getByRole('progressbar').getAttribute('value'), '25')
  const first = page.locator('[data-found="17"]')
  assert.match(await first.innerText(), /^Unit 17\s*Modbus RTU · 9600 8N1\s+Copy YAML\s+Probably\s+Eastron SDM630 92 %\s+three voltages.*\s+or\s+Eastron SDM120 41 %/)
  assert.match(await first.locator('code').innerText(), /^11 03 02 00 E6 79 95$/)
  await first.getByRole('button', { name: 'Copy the YAML of Unit 17' }).click()
  await first.getByText('Copied').first().waitFor()
  assert.equal(await clipboard(page), meters[0].yaml)

  search.found.push(meters[1], crowd)
  searches.end(search, 'done')
  await page.getByRole('heading', { name: '3 answers' }).waitFor()
  await progress.waitFor({ state: 'detached' })
  await page.locator('[data-found="000012345678"]').getByText('No profile is known to fit').waitFor()
  const nothing = page.locator('[data-found=""]')
  await nothing.getByText('several meters answer to the number 0').waitFor()
  assert.equal(await nothing.getByRole('button').count(), 0)
  await page.getByRole('button', { name: 'Copy YAML of all' }).click()
  await page.getByText('Copied').first().waitFor()
  const all = await clipboard(page)
  assert.equal(all.match(/^devices:$/gm).length, 1)
  assert.ok(all.includes('unit: 17') && all.includes('meter: "000012345678"'), all)

  await page.goBack()
  assert.equal(await page.locator('[name=units]').inputValue(), '1-32, 100')
  assert.ok(!(await page.getByLabel('CJ/T 188').isChecked()), 'the form has forgotten what it said')
  await page.locator('[data-search=s1]').getByText('finished').waitFor()
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a network is searched, stopped in the midst, and forgotten', async () => {
  const { context, page, complaints, searches } = await begin()
  await page.goto(new URL('/#/find', url).href)
  await page.locator('[name=where]').selectOption('network')
  assert.equal(await page.locator('[name=network]').inputValue(), '192.168.1.0/24')
  await page.locator('[name=network]').fill('10.0.0.0/8')
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByText('with 4096 addresses at most').waitFor()
  assert.deepEqual(searches.asked, [])
  await page.locator('[name=network]').fill('10.0.0.0/24')
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByRole('heading', { name: 'Search on 10.0.0.0/24' }).waitFor()
  assert.deepEqual(searches.asked, [{ kind: 'network', network: '10.0.0.0/24', ports: [502] }])
  searches.move(searches.newest, 48, '10.0.0.48:502')
  await page.getByText('10.0.0.48:502').waitFor()
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText('Stopped after 48 of 480 addresses.').waitFor()
  await page.getByRole('button', { name: 'Forget this search' }).click()
  await page.getByRole('button', { name: 'Search' }).waitFor()
  assert.equal(await page.locator('[data-search]').count(), 0)
  assert.deepEqual(complaints, [])
  await context.close()
})

test('a search that is refused, fails, finds nobody or is gone says so in words', async () => {
  const { context, page, complaints, searches } = await begin()
  await page.goto(new URL('/#/buses/rs485-1', url).href)
  await page.getByRole('link', { name: 'Find devices on this line' }).click()
  assert.equal(await page.locator('[name=where]').inputValue(), 'line:rs485-1')
  await page.getByRole('button', { name: 'Search' }).click()
  await page.locator('[data-test=progress]').waitFor()
  const running = searches.newest
  await page.getByRole('link', { name: '← Find devices' }).click()
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByText('The search could not begin: another search is in the way: bus://rs485-1 is being searched already').waitFor()
  searches.end(running, 'failed', 'the line hung up')
  await page.locator('[data-search=s1]').getByRole('link').click()
  await page.locator('[data-state=failed]').getByText('the line hung up').waitFor()
  await page.goto(new URL('/#/find?where=port:/dev/ttyUSB0', url).href)
  await page.getByRole('button', { name: 'Search' }).click()
  await page.locator('[data-test=progress]').waitFor()
  searches.end(searches.newest, 'done')
  await page.locator('[data-test=nobody]').getByText('The wires A and B are exchanged').waitFor()
  await page.goto(new URL('/#/find/s99', url).href)
  await page.getByText('The gateway does not have this search').waitFor()
  assert.deepEqual(
    complaints.filter((complaint) => !/status of 404/.test(complaint)),
    [],
  )
  await context.close()
})

test('the search for devices fits a phone', async () => {
  const { context, page, complaints, searches } = await begin({ viewport: { width: 360, height: 740 } })
  const fits = async () => {
    const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
    assert.ok(content <= width, `${page.url()} is ${content} wide on a screen of ${width}`)
  }
  await page.goto(new URL('/#/find?where=network', url).href)
  await page.locator('[name=ports]').waitFor()
  await fits()
  await page.goto(new URL('/#/find', url).href)
  await page.getByRole('button', { name: 'Search' }).click()
  await page.locator('[data-test=progress]').waitFor()
  searches.move(searches.newest, 17, 'modbus-rtu, 9600 8N1, unit 18')
  searches.newest.found.push(...meters, crowd)
  await page.locator('[data-found="17"] summary').click()
  await fits()
  searches.end(searches.newest, 'done')
  await page.locator('[data-test=progress]').waitFor({ state: 'detached' })
  await fits()
  await page.goto(new URL('/#/find', url).href)
  await page.locator('[data-search]').first().waitFor()
  await fits()
  assert.deepEqual(complaints, [])
  await context.close()
})
