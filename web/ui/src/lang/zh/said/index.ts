// What the gateway says, a file for each part of it; a test of the gateway compares them with its source.
import access from './access.json'
import configuration from './configuration.json'
import devices from './devices.json'
import firmware from './firmware.json'
import gateway from './gateway.json'
import hj212 from './hj212.json'
import keys from './keys.json'
import mbus from './mbus.json'
import meters from './meters.json'
import modbus from './modbus.json'
import models from './models.json'
import network from './network.json'
import page from './page.json'
import runtime from './runtime.json'
import store from './store.json'
import tables from './tables.json'
import uplinks from './uplinks.json'
import type { Catalogue } from '../../../sentences'

const said: Catalogue = {
  ...runtime, ...access, ...configuration, ...devices, ...firmware, ...gateway, ...hj212, ...keys, ...mbus, ...meters, ...modbus, ...models, ...network, ...page, ...store, ...tables, ...uplinks,
}

export default said
