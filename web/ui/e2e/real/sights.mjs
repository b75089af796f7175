// Every place of the page that an address leads to, and what no place may do.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

const source = (name) => fileURLToPath(new URL('../../src/' + name, import.meta.url))
const load = async (name) => (await runnerImport(source(name), { configFile: false, logLevel: 'error' })).module

// The views are those that the page itself knows, so that a new one is looked at too.
export const { views, addressOf } = await load('route.ts')
const texts = (await load('lang/en/index.ts')).default

// textsOf gives what the page says in a language, by the names of its texts.
export async function textsOf(language) {
  const all = (await load(`lang/${language}/index.ts`)).default
  return (key) => key.split('.').reduce((within, name) => within?.[name], all) ?? key
}

const axe = await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

// places gives the address of every view, and of one thing of each kind that the gateway has; get asks its API.
export async function places(get) {
  const [status, buses, topics, groups, profiles] = await Promise.all(['status', 'buses', 'topics', 'groups', 'profiles'].map(get))
  const devices = status.devices.map((device) => device.name)
  const uplinks = status.uplinks.map((uplink) => uplink.name)
  const named = {
    devices,
    points: devices.slice(0, 1),
    buses: buses.items.map((bus) => bus.name).slice(0, 1),
    topics: topics.items.map((topic) => topic.topic ?? topic.name).slice(0, 1),
    groups: groups.items.map((group) => group.group ?? group.name).slice(0, 1),
    profiles: profiles.items.map((profile) => profile.name).slice(0, 1),
    uplinks: uplinks.slice(0, 1),
    aside: uplinks.slice(0, 1),
    configuration: ['text', 'history'],
  }
  const asked = [addressOf('uplinks', '', { new: '1' }), addressOf('uplinks', uplinks[0] ?? '', { edit: '1' }), addressOf('messages', '', { topic: 'readings' })]
  return [...views.flatMap((view) => ['', ...(named[view] ?? [])].map((name) => addressOf(view, name))), ...asked]
}

// A stream never ends, and a page that is still asking has not said all.
const streams = /\/(events|watch|tail)(\?|$)/
const underway = new WeakMap()

// observe begins to count what the page asks for.
export function observe(page) {
  const asking = new Set()
  underway.set(page, asking)
  page.on('request', (request) => streams.test(request.url()) || asking.add(request))
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => asking.delete(request))
}

// visit shows a place and waits until it has asked for everything.
export async function visit(page, address) {
  await page.evaluate((to) => (location.hash = to), address)
  await page.locator('main h1, main h2').first().waitFor()
  const asking = underway.get(page)
  for (let calm = 0, tries = 0; calm < 3 && tries < 100; tries++) {
    await page.waitForTimeout(60)
    calm = asking.size === 0 ? calm + 1 : 0
  }
  const there = await page.evaluate(() => location.hash || '#/')
  if (!there.startsWith(address)) throw new Error(`the way to ${address} ends at ${there}`)
}

// tooWide says by how much the page has to be pushed sideways.
export async function tooWide(page) {
  const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
  return content > width ? [`is ${content} wide on a screen of ${width}`] : []
}

// blamed are fields that are said to be wrong before anybody has written anything.
export async function blamed(page) {
  const names = await page.locator('[aria-invalid=true]').evaluateAll((fields) => fields.map((field) => field.id || field.name))
  return names.map((name) => `blames the field ${name}`)
}

const keys = new RegExp(`(?<![\\w./-])(${Object.keys(texts).join('|')})(\\.[a-z]\\w*)+(?![\\w./:-])`, 'g')

// untranslated are the names of texts that stand where the texts should be.
export async function untranslated(page) {
  const words = await page.evaluate(() => [document.body.innerText, ...[...document.querySelectorAll('[aria-label], [title], [placeholder]')].flatMap((e) => [e.ariaLabel ?? '', e.title, e.placeholder ?? ''])].join('\n'))
  return [...new Set(words.match(keys) ?? [])].map((key) => `shows the name of a text: ${key}`)
}

// english are sentences that are not in Chinese: three small words in a row. What a person or a manual has written
// may be in any language, and so may what is meant to be copied.
export function english(page) {
  return page.evaluate(() => {
    const found = []
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const around = node.parentElement
      const words = node.textContent.trim()
      if (!/[a-z]['a-z]+(?: ['a-z]{2,}){2,}/.test(words) || around.closest('code, pre, textarea, script, style, [data-foreign]')) continue
      if (around.checkVisibility()) found.push(`shows English: ${words}`)
    }
    return [...new Set(found)]
  })
}

// accessible asks axe for what keeps people out. Its source comes from here: the content policy keeps it out of the page.
export async function accessible(page, rules) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe)
  const found = await page.evaluate(
    async (only) => {
      const { violations } = await window.axe.run(document, { resultTypes: ['violations'], preload: false, ...(only ? { runOnly: only } : {}) })
      return violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.slice(0, 4).map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`) }))
    },
    rules,
  )
  return found.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, impact, nodes }) => `axe: ${impact} ${id}: ${nodes.join(' | ')}`)
}
