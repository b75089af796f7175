// What viewers and operators see of a gateway that works: everything, and nothing that would be refused.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { close, launch, open, signIn, url } from '../browser.mjs'
import { observe, places, visit } from './sights.mjs'

const password = 'a password of mine'

before(async () => {
  await launch()
  const { context, page } = await open()
  await signIn(page)
  for (const role of ['viewer', 'operator']) {
    const answer = await context.request.post(new URL('/api/v1/users', url).href, { data: { name: role, role, password }, headers: { 'X-Requested-With': 'sluice' } })
    assert.ok([201, 409].includes(answer.status()), `a user is not added: ${await answer.text()}`)
  }
  await context.close()
})
after(close)

// enter opens the page as somebody of a role; refused collects what the gateway would not let them do.
async function enter(role) {
  const { context, page, complaints } = await open({ reducedMotion: 'reduce' })
  observe(page)
  const refused = []
  await signIn(page, { name: role, password })
  page.on('response', (response) => {
    if ([401, 403].includes(response.status())) refused.push(`${response.request().method()} ${new URL(response.url()).pathname} is ${response.status()}`)
  })
  const addresses = await places(async (what) => (await context.request.get(new URL('/api/v1/' + what, url).href)).json())
  return { context, page, complaints, refused, addresses }
}

// pressAll presses every button of what is shown, each name once, and those of the dialogs that they open.
// Signing out would end it.
async function pressAll(page) {
  await page.evaluate(async () => {
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    const pressed = new Set()
    const next = () => [...document.querySelectorAll('dialog[open] button, main button')].find((b) => !b.disabled && b.checkVisibility() && !pressed.has(b.innerText + b.ariaLabel))
    for (let n = 0; n < 60; n++) {
      const button = next()
      if (!button) break
      pressed.add(button.innerText + button.ariaLabel)
      button.click()
      await pause(40)
    }
    for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close()
  })
}

for (const role of ['viewer', 'operator']) {
  test(`nothing that the page asks for as ${role} is refused`, async () => {
    const { context, page, complaints, refused, addresses } = await enter(role)
    const faults = []
    for (const address of addresses) {
      await visit(page, address)
      faults.push(...[...refused.splice(0), ...complaints.splice(0).filter((c) => !/status of (404|422)/.test(c))].map((fault) => `${address} ${fault}`))
    }
    assert.deepEqual(faults, [])
    await context.close()
  })
}

test('no button that a viewer is shown is refused', async () => {
  const { context, page, refused, addresses } = await enter('viewer')
  const faults = []
  for (const address of addresses) {
    await visit(page, address).catch(async () => {
      await page.goto('about:blank') // what was pressed before holds the page
      await page.goto(new URL('/' + address, url).href)
      await visit(page, address)
    })
    await pressAll(page)
    await page.waitForTimeout(80)
    faults.push(...refused.splice(0).map((fault) => `${address} ${fault}`))
  }
  assert.deepEqual(faults, [])
  await context.close()
})
