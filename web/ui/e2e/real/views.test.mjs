// Every view of a gateway that works, in both languages, wide and narrow, light and dark.
//   SLUICE_URL=http://127.0.0.1:8080 SLUICE_PASSWORD=… SLUICE_BINARY=… npm run e2e:real
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { close, launch, open, signIn, url } from '../browser.mjs'
import { accessible, blamed, observe, places, tooWide, untranslated, visit } from './sights.mjs'

before(launch)
after(close)

const wide = { width: 1280, height: 900 }
const narrow = { width: 390, height: 844 }

// What these places are answered is shown in words there; the browser notes it by itself.
const said = [/^#\/devices\/.* status of 422/, /^#\/certificates .* status of 404/]

// look goes through every place and gives what is wrong with it, by its address.
async function look(options, judge) {
  const { context, page, complaints } = await open({ viewport: wide, reducedMotion: 'reduce', ...options })
  observe(page)
  await signIn(page)
  const get = async (what) => (await context.request.get(new URL('/api/v1/' + what, url).href)).json()
  const faults = []
  for (const address of await places(get)) {
    await visit(page, address)
    const found = [...(await judge(page)), ...complaints.splice(0)]
    faults.push(...found.map((fault) => `${address} ${fault}`))
  }
  await context.close()
  return [...new Set(faults)].filter((fault) => !said.some((known) => known.test(fault)))
}

for (const locale of ['en-GB', 'zh-CN']) {
  test(`every view in ${locale} fits a desk and a phone, and complains of nothing`, async () => {
    const faults = await look({ locale }, async (page) => {
      const found = [...(await tooWide(page)), ...(await untranslated(page)), ...(await blamed(page))]
      await page.setViewportSize(narrow)
      await page.waitForTimeout(60) // the layout follows the window by an observer
      found.push(...(await tooWide(page)))
      await page.setViewportSize(wide)
      return found
    })
    assert.deepEqual(faults, [])
  })
}

test('axe finds nothing serious in any view, light or dark', async () => {
  const faults = await look({ colorScheme: 'light' }, async (page) => {
    const found = await accessible(page)
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.waitForFunction(() => document.documentElement.classList.contains('dark'))
    found.push(...(await accessible(page, ['color-contrast'])).map((fault) => 'dark: ' + fault))
    await page.emulateMedia({ colorScheme: 'light' })
    return found
  })
  assert.deepEqual(faults, [])
})
