// Subscribes and publishes to itself with MQTT.js: node mqttjs.cjs MODULE URL KEYS VERSION
const fs = require('node:fs')
const path = require('node:path')
const [module_, url, keys, version] = process.argv.slice(2)
const mqtt = require(module_)
const read = (name) => fs.readFileSync(path.join(keys, name))

const client = mqtt.connect(url, {
  protocolVersion: Number(version),
  reconnectPeriod: 0,
  connectTimeout: 10000,
  // With these it would speak TLS wherever it connects to.
  ...(/^(mqtts|wss):/.test(url) && { ca: read('ca.crt'), cert: read('client.crt'), key: read('client.key') }),
})
client.on('error', (err) => { console.log(String(err)); process.exit(1) })
let left = 2
client.on('message', (topic, payload, packet) => {
  console.log('received', packet.qos, payload.length)
  if (--left === 0) client.end()
})
client.on('connect', async () => {
  const granted = await client.subscribeAsync('js/#', { qos: 1 })
  console.log('subscribed', granted[0].qos)
  await client.publishAsync('js/a', Buffer.alloc(100000), { qos: 0 })
  await client.publishAsync('js/a', Buffer.alloc(100000), { qos: 1 })
})
