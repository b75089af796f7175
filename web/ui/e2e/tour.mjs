// A tour of the page of a running gateway, for somebody who looks at it: a picture of every place and of what opens
// there, in both languages, on a desk and on a phone. Nothing of the gateway is changed.
//   SLUICE_URL=http://127.0.0.1:8080 SLUICE_PASSWORD=… node e2e/tour.mjs FOLDER [FILTER]
// FILTER is a part of the pictures' names, as in "zh-phone" or "points". With SLUICE_BINARY the first run is
// shown too, on boxes of its own.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { Box, missing, zone } from './real/box.mjs'
import { close, launch, open, patience, signIn, url } from './browser.mjs'
import { observe, places, textsOf, visit } from './real/sights.mjs'

const [folder, filter = ''] = process.argv.slice(2)
if (!folder) throw new Error('name the folder for the pictures')
await mkdir(folder, { recursive: true })

const languages = { en: 'en-GB', zh: 'zh-CN' }
const looks = {
  wide: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 } },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
}
const tallest = 2000

// shoot takes a picture of the whole page, up to a height that can still be looked at.
async function shoot(page, name) {
  await page.waitForTimeout(500) // charts are drawn a moment after their values have come
  const { width } = page.viewportSize()
  const over = await page.locator('dialog[open]').count() // it covers the screen, not the page
  if (over > 0) return page.screenshot({ path: join(folder, name + '.png') })
  const height = await page.evaluate(() => document.documentElement.scrollHeight)
  await page.screenshot({ path: join(folder, name + '.png'), fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(height, tallest) } })
}

// acts are what opens at a place: the picture's name, where it is, and how to come to it. say gives a text of the page.
const acts = ({ device, uplink, group }, say) => {
  const button = (page, key) => page.locator('main button', { hasText: new RegExp(`^\\s*${say(key)}\\s*$`) }).first()
  const click = (key) => (page) => button(page, key).click()
  const message = (page) => page.locator('[data-position] a').first().click()
  const reviewed = async (page) => {
    await page.locator('[data-test=review]').click()
    await page.locator('[data-test=apply]:enabled').waitFor()
  }
  return {
    'device-trial': [`#/devices/${device}`, async (page) => (await page.locator('[data-test=try]').click(), page.locator('[data-test=trial]').waitFor())],
    'device-settings': [`#/devices/${device}`, click('settings.edit')],
    'device-copy': [`#/devices/${device}`, click('settings.copy')],
    'device-remove': [`#/devices/${device}`, click('settings.remove')],
    'device-write': [`#/devices/${device}`, (page) => page.locator('[data-test=write]').click()],
    'points-read': [`#/points/${device}`, async (page) => (await page.locator('[data-test=read]').click(), page.waitForTimeout(1500))],
    'points-mistake': [
      `#/points/${device}`,
      async (page) => {
        await button(page, 'editor.insert').click()
        await page.waitForTimeout(800)
      },
    ],
    'message-one': ['#/messages?topic=readings', message],
    'message-again': ['#/messages?topic=readings', async (page) => (await message(page), page.getByRole('button', { name: say('resend.open') }).click())],
    'group-reset': group && [`#/groups/${group}`, click('reset.open')],
    'alarm-acknowledge': ['#/alarms', click('alarms.acknowledge')],
    'alarm-new': ['#/rules', click('rules.add')],
    'alarm-edit': ['#/rules', click('rules.edit')],
    'alarm-way': ['#/rules', click('rules.addWay')],
    'uplink-test': [`#/uplinks/${uplink}`, async (page) => (await button(page, 'uplinks.test').click(), page.locator('[data-result]').first().waitFor())],
    'uplink-remove': [`#/uplinks/${uplink}`, click('cloud.remove')],
    'user-new': ['#/users', click('users.add')],
    'user-password': ['#/users', click('users.ownPassword')],
    'token-new': ['#/users', click('tokens.make')],
    'certificate-new': ['#/certificates', click('certificates.upload')],
    'restart-ask': ['#/backup', (page) => page.locator('[data-test=restart]').click()],
    'change-review': [
      '#/configuration/text',
      async (page) => {
        const text = page.locator('main textarea').first()
        await text.fill((await text.inputValue()).replace(/interval: 2s/, 'interval: 3s'))
        await reviewed(page)
      },
    ],
  }
}

// tour goes through everything that one language on one screen has.
async function tour(language, look, at) {
  const wanted = (name) => `${language}-${look}-${name}`.includes(filter)
  const { context, page } = await open({ ...looks[look], locale: languages[language], reducedMotion: 'reduce' })
  observe(page)
  page.on('dialog', (dialog) => dialog.accept()) // a draft may be left
  if (wanted('signin')) await shoot(page, `${language}-${look}-signin`)
  await signIn(page)
  const get = async (what) => (await context.request.get(new URL('/api/v1/' + what, url).href)).json()
  const say = await textsOf(language)
  const all = Object.fromEntries((await places(get)).map((address) => [name(address), [address]]))
  const [status, groups] = [await get('status'), await get('groups')]
  const some = { device: at.device ?? status.devices[0]?.name, uplink: status.uplinks[0]?.name, group: groups.items[0]?.name }
  for (const [what, way] of Object.entries({ ...all, ...acts(some, say) })) {
    if (!way || !wanted(what)) continue
    const [address, act] = way
    await page.goto('about:blank') // a dialog or a draft of the place before is gone
    await page.goto(url + '/#/')
    await page.waitForSelector('[data-verdict]')
    try {
      await visit(page, address)
      page.setDefaultTimeout(8_000) // what is not there is told of soon
      await act?.(page)
    } catch (error) {
      console.log(`${language}-${look}-${what}: ${error.message.split('\n')[0]}`)
      continue
    } finally {
      page.setDefaultTimeout(patience)
    }
    await shoot(page, `${language}-${look}-${what}`)
  }
  await context.close()
}

// name is what a place's picture is called.
const name = (address) => address.replace(/^#\//, '').replaceAll(/[^\w]+/g, '-').replace(/-$/, '') || 'overview'

// firstRun leads a new box from its code to the reading that has arrived.
async function firstRun(language, look) {
  const box = await Box.unpack()
  const { context, page } = await open({ ...looks[look], locale: languages[language], timezoneId: zone, reducedMotion: 'reduce' }, box.url)
  const at = (step) => page.waitForSelector(`[data-step=${step}]`)
  const take = (what) => shoot(page, `${language}-${look}-first-${what}`)
  try {
    await page.locator('[name=code]').waitFor()
    await take('1-password')
    await page.locator('[name=code]').fill(box.code)
    await page.locator('[name=password]').fill('correct horse battery')
    await page.keyboard.press('Enter')
    await at('device')
    await page.evaluate(() => (location.hash = '#/setup/time')) // it has passed by itself
    await at('time')
    await take('2-clock')
    await page.evaluate(() => (location.hash = '#/setup/device'))
    await at('device')
    await take('3-device')
    await page.locator('[name=where]').selectOption('network')
    await page.locator('[name=network]').fill('127.0.0.1')
    await page.locator('[name=ports]').fill(String(box.ports.device))
    await page.keyboard.press('Enter')
    await page.locator('[data-device="1"]').waitFor()
    await page.locator('[data-point=holding_0]').waitFor()
    await take('4-found')
    await page.locator('[name=table]').fill('name\taddress\ttype\tunit\ncounter\tholding:0\tuint32\t\ntemperature\tholding:2\tfloat32\t°C\n')
    await page.locator('[data-point=temperature] b').waitFor()
    await take('5-values')
    await page.locator('[data-test=use]').click()
    await at('uplink')
    await take('6-cloud')
    await page.locator('[name=cloud]').fill(box.cloud('wrong'))
    await page.locator('[data-light=login][data-state=bad]').waitFor()
    await take('7-refused')
    await page.locator('[name=cloud]').fill(box.cloud())
    await page.locator('[data-light=login][data-state=good]').waitFor()
    await take('8-lights')
    await page.locator('[data-test=start]').click()
    await page.locator('[data-trace=acknowledged][data-seen=yes]').waitFor()
    await take('9-reading')
    await page.locator('[data-test=cut]').click()
    await page.locator('[data-verdict-of-outage=running]').waitFor()
    await page.waitForTimeout(4000)
    await take('outage')
  } catch (error) {
    console.log(`${language}-${look}-first: ${error.message}`)
    await take('stuck')
  } finally {
    await context.close()
    await box.remove()
  }
}

await launch()
for (const look of Object.keys(looks)) {
  for (const language of Object.keys(languages)) {
    const prefix = `${language}-${look}`
    if (filter && !filter.startsWith(prefix) && /^(en|zh)-/.test(filter)) continue
    if (!/first/.test(filter)) await tour(language, look, { device: process.env.SLUICE_DEVICE })
    if ((!filter || `${prefix}-first`.includes(filter) || /first/.test(filter)) && look !== 'dark' && !missing()) await firstRun(language, look)
  }
}
await close()
