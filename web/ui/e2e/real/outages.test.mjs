// A page that stays open while its session, its gateway or the gateway's cloud goes away and comes back.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { close, launch, patience } from '../browser.mjs'
import { furnish, signInAgain, skip } from './furnished.mjs'

if (!skip) {
  before(launch)
  after(close)
}

test('a session that ends elsewhere leads to the door, and from there back to the same view', { skip }, async (t) => {
  const { box, caller, page, complaints } = await furnish(t)
  await page.goto(box.url + '/#/devices/press')
  await page.locator('[data-point=temperature]').waitFor()
  await caller.call('PUT', 'session/password', { old: 'correct horse battery', new: 'another battery horse' })
  await page.getByText('The session has ended').waitFor()
  await signInAgain(page, 'another battery horse')
  await page.locator('[data-point=temperature]').waitFor()
  assert.equal(new URL(page.url()).hash, '#/devices/press')
  assert.deepEqual(complaints, [])
})

test('a gateway that restarts or is killed under the page is said to be lost, and found again', { skip }, async (t) => {
  const { box, page } = await furnish(t)
  await page.goto(box.url + '/#/devices/press')
  const lost = page.getByRole('alert').getByText('No connection to the gateway since')
  for (const end of ['stop', 'kill']) {
    await page.locator('[data-point=counter]').waitFor()
    await box[end]()
    await lost.waitFor()
    await box.start()
    // Sessions outlive the process: the page goes on by itself.
    await lost.waitFor({ state: 'detached' })
    assert.equal(new URL(page.url()).hash, '#/devices/press')
    const counter = page.locator('[data-point=counter]')
    const before = await counter.innerText()
    await page.waitForFunction((old) => document.querySelector('[data-point=counter]')?.innerText !== old, before)
  }
})

test('a page open through an outage of the cloud tells of it, and of its end', { skip }, async (t) => {
  const { box, page, complaints } = await furnish(t)
  const sent = page.locator('[data-verdict=allSent]')
  await sent.waitFor()
  await box.cutCloud()
  const down = page.locator('[data-verdict=uplinkDownWaiting]')
  await down.waitFor()
  const waiting = async () => Number(/([\d,]+) messages wait safely in the log/.exec(await down.innerText())?.[1].replaceAll(',', ''))
  const first = await waiting()
  await page.waitForTimeout(20_000) // the outage itself
  const then = await waiting()
  assert.ok(then > first + 20, `the backlog went from ${first} to ${then}`)
  await box.mendCloud()
  await sent.waitFor({ timeout: 2 * patience })
  await page.getByText('Every reading has reached the cloud.').waitFor()
  assert.deepEqual(complaints, [])
})
