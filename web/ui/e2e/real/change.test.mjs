// The configuration of a gateway that works, changed through its page.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { freePort, until } from './box.mjs'
import { close, launch } from '../browser.mjs'
import { furnish, signInAgain, skip } from './furnished.mjs'

if (!skip) {
  before(launch)
  after(close)
}

const options = { skip, concurrency: true } // each has a box of its own, and one waits for a minute

// change edits the text of the configuration on the page and asks what the change would do.
async function change(page, box, from, to) {
  await page.goto(box.url + '/#/configuration/text')
  const text = page.locator('main textarea')
  const before = await text.inputValue()
  assert.ok(before.includes(from), before)
  await text.fill(before.replace(from, to))
  await page.locator('[data-test=review]').click()
  await page.locator('[data-test=apply]:enabled').waitFor()
  return page.getByRole('dialog', { name: 'Apply this change' })
}

test('changes through the page', options, async (t) => {
  await Promise.all([
    t.test('a change is looked at line by line, applied, and stands in the file', async (t) => {
      const { box, page, complaints } = await furnish(t)
      const dialog = await change(page, box, 'interval: 200ms', 'interval: 350ms')
      await dialog.getByText('interval: 200ms').waitFor()
      await dialog.getByText('interval: 350ms').waitFor()
      await dialog.getByText('device press').waitFor()
      await dialog.locator('[data-test=apply]').click()
      await dialog.waitFor({ state: 'hidden' })
      assert.match(await box.configuration(), /interval: 350ms/)
      await page.goto(box.url + '/#/configuration/history')
      await page.locator('main tbody tr').nth(1).waitFor()
      assert.deepEqual(complaints, [])
    }),

    t.test('a change of the address of the page is confirmed from there by itself', async (t) => {
      const { box, page } = await furnish(t)
      const port = await freePort()
      const dialog = await change(page, box, `127.0.0.1:${box.ports.web}`, `127.0.0.1:${port}`)
      await dialog.getByText('This changes the address of this page.').waitFor()
      await dialog.locator('[data-test=apply]').click()
      await page.waitForURL((there) => there.port === String(port))
      await page.locator('main h1').waitFor()
      await until('the change is confirmed', async () => {
        const state = await page.evaluate(() => fetch('/api/v1/config/state').then((answer) => answer.json()))
        return state.etag && !state.pending
      })
      assert.match(await box.configuration(), new RegExp(`127\\.0\\.0\\.1:${port}`))
    }),

    t.test('a change of the address of the page that nobody can confirm is taken back', async (t) => {
      const { box, context, page } = await furnish(t)
      const before = await box.configuration()
      const port = await freePort()
      await context.route((there) => there.port === String(port), (route) => route.abort('connectionrefused'))
      const dialog = await change(page, box, `127.0.0.1:${box.ports.web}`, `127.0.0.1:${port}`)
      await dialog.locator('[data-test=apply]').click()
      await until('the new address', async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok)
      // The gateway waits for a minute.
      await until('the old address again', async () => (await fetch(box.url + '/readyz').catch(() => undefined))?.ok, 90_000)
      await page.goto(box.url + '/#/configuration/text')
      await page.locator('main h1, #password').first().waitFor()
      if ((await page.locator('#password').count()) > 0) await signInAgain(page)
      assert.equal(await page.locator('main textarea').inputValue(), before)
      assert.equal(await box.configuration(), before)
    }),
  ])
})
