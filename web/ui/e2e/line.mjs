import net from 'node:net'

// Line is a stretch of network between the browser and the gateway that can fall silent, as a pulled
// cable does, or refuse, as a gateway does that is not running.
export class Line {
  #target
  #server
  #port = 0
  #sockets = new Set()
  #silent = false

  constructor(url) {
    this.#target = new URL(url)
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`
  }

  async open() {
    this.#silent = false
    this.#server = net.createServer((near) => {
      const far = net.connect(Number(this.#target.port || 80), this.#target.hostname)
      for (const [from, to] of [[near, far], [far, near]]) {
        this.#sockets.add(from)
        from.on('data', (bytes) => this.#silent || to.write(bytes))
        from.on('error', () => {})
        from.on('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
      }
    })
    await new Promise((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = this.#server.address().port
  }

  silence() {
    this.#silent = true
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
