// A box as it comes out of its packing: the real gateway on a fresh data directory, with a simulated device and
// a real mosquitto as its cloud. SLUICE_BINARY names the gateway's program.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const binary = process.env.SLUICE_BINARY
// zone is the machine's, and that of the gateway and the browser in a test.
export const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone
const chromium = process.env.SLUICE_CHROMIUM ?? '/usr/bin/chromium'
const mosquitto = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto'].find(existsSync)

// missing says what a box cannot be made without; with SLUICE_REQUIRE_PEERS=1 that is a failure.
export function missing() {
  if (!binary) return 'SLUICE_BINARY does not name the gateway'
  const lacks = [!existsSync(chromium) && chromium, !mosquitto && 'mosquitto', !existsSync('/usr/bin/mosquitto_passwd') && 'mosquitto_passwd'].filter(Boolean).join(', ')
  if (lacks && process.env.SLUICE_REQUIRE_PEERS === '1') throw new Error(`missing, and SLUICE_REQUIRE_PEERS=1: ${lacks}`)
  return lacks && `missing: ${lacks}`
}

// freePort finds one that nobody listens at, below those that the system gives to connections by itself: such a one
// may belong to somebody else by the time it is used.
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const server = net.createServer()
    const free = await new Promise((resolve) => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)))
    if (!free) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}

// Whatever happens to a test, its processes end with it.
const children = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// until waits for another process, which tells nobody when it is ready.
export async function until(what, check, patience = 20_000) {
  for (const end = Date.now() + patience; ; await sleep(50)) {
    const got = await check()
    if (got) return got
    if (Date.now() > end) throw new Error(`not within ${patience} ms: ${what}`)
  }
}

const open = (port) =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true) || socket.destroy())
    socket.on('error', () => resolve(false))
  })

export class Box {
  #running = []

  static async unpack({ password } = {}) {
    const box = new Box()
    box.folder = await mkdtemp(join(tmpdir(), 'sluice-box-'))
    box.ports = { web: await freePort(), mqtt: await freePort(), device: await freePort(), cloud: await freePort() }
    box.url = `http://127.0.0.1:${box.ports.web}`
    box.password = password
    try {
      await box.#furnish()
    } catch (error) {
      console.log(box.said())
      await box.remove()
      throw error
    }
    return box
  }

  async #furnish() {
    execFileSync(binary, ['init', '--config', this.#at('sluice.yaml'), '--web', `127.0.0.1:${this.ports.web}`, '--mqtt', `127.0.0.1:${this.ports.mqtt}`])
    await this.#cloud()
    this.#spawn('device', binary, ['simulate', 'modbus', '--listen', `127.0.0.1:${this.ports.device}`, '--unit', '1'])
    await until('the device listens', () => open(this.ports.device))
    await this.start()
  }

  #at(name) {
    return join(this.folder, name)
  }

  #spawn(name, program, args, env = {}) {
    const child = spawn(program, args, { cwd: this.folder, env: { ...process.env, SLUICE_ADMIN_PASSWORD: '', ...env } })
    children.add(child)
    const said = { name, child, text: '', over: new Promise((resolve) => child.on('exit', () => children.delete(child) && resolve())) }
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said.text += bytes))
    this.#running.push(said)
    return said
  }

  // The cloud is a broker that knows one user, whose password is "sesame".
  async #cloud() {
    execFileSync('/usr/bin/mosquitto_passwd', ['-b', '-c', this.#at('users'), 'plant', 'sesame'])
    execFileSync('chmod', ['644', this.#at('users')])
    await writeFile(this.#at('cloud.conf'), `listener ${this.ports.cloud} 127.0.0.1\nallow_anonymous false\npassword_file ${this.#at('users')}\nuser root\n`)
    await this.mendCloud()
  }

  // start runs the gateway so that it can change neither clock nor zone of the machine: without the right to the
  // clock, and with a zone of its own, which goes before the machine's and makes it refuse to write that.
  async start() {
    const run = [binary, 'run', '--config', this.#at('sluice.yaml')]
    const root = process.getuid() === 0
    const [program, ...args] = root ? ['setpriv', '--bounding-set', '-sys_time', '--inh-caps', '-sys_time', ...run] : run
    this.gateway = this.#spawn('gateway', program, args, { TZ: zone, ...(this.password ? { SLUICE_ADMIN_PASSWORD: this.password } : {}) })
    await until('the gateway answers', async () => (await fetch(this.url + '/readyz').catch(() => undefined))?.ok)
  }

  async stop() {
    this.gateway.child.kill('SIGTERM')
    await this.gateway.over
  }

  // kill ends the gateway as a power failure does.
  async kill() {
    this.gateway.child.kill('SIGKILL')
    await this.gateway.over
  }

  // cutCloud ends the cloud, and mendCloud begins it again.
  async cutCloud() {
    this.cloudProcess.child.kill('SIGKILL')
    await this.cloudProcess.over
  }

  async mendCloud() {
    this.cloudProcess = this.#spawn('cloud', mosquitto, ['-c', this.#at('cloud.conf')])
    await until('the cloud listens', () => open(this.ports.cloud))
  }

  // code is the one-time code that the gateway prints.
  get code() {
    return /enter the code (\S+)/.exec(this.gateway.text)?.[1]
  }

  cloud(password = 'sesame') {
    return `mqtt://plant:${password}@127.0.0.1:${this.ports.cloud}`
  }

  configuration() {
    return readFile(this.#at('sluice.yaml'), 'utf8')
  }

  said() {
    return this.#running.map(({ name, text }) => `--- ${name}\n${text}`).join('\n')
  }

  // remove ends what runs. What does not go when it is asked to is ended by force, and that is a failure.
  async remove() {
    const stubborn = []
    const force = setTimeout(() => {
      for (const { name, child } of this.#running) if (child.kill('SIGKILL')) stubborn.push(name)
    }, 20_000)
    for (const { child } of this.#running) child.kill('SIGTERM')
    await Promise.all(this.#running.map(({ over }) => over))
    clearTimeout(force)
    if (stubborn.length) throw new Error(`${stubborn.join(', ')} did not end within 20 s of SIGTERM\n${this.said()}`)
    await rm(this.folder, { recursive: true, force: true })
  }
}

// Person is somebody at the page, whose actions and typed values are counted: opening the page, a click that
// decides and Enter are actions; a value that is typed, pasted or chosen from a list is a typed value.
export class Person {
  actions = []
  typed = []
  #begun = Date.now()

  constructor(page) {
    this.page = page
  }

  async click(locator, why) {
    this.actions.push(why)
    await locator.click()
  }

  async enter(why) {
    this.actions.push(why)
    await this.page.keyboard.press('Enter')
  }

  async type(locator, value, why) {
    this.typed.push(why)
    await locator.fill(value)
  }

  async choose(locator, value, why) {
    this.typed.push(why)
    await locator.selectOption(value)
  }

  get seconds() {
    return ((Date.now() - this.#begun) / 1000).toFixed(1)
  }
}
