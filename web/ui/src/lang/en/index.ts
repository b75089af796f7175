import alarms from './alarms'
import buses from './buses'
import cloud from './cloud'
import common from './common'
import config from './config'
import devices from './devices'
import door from './door'
import find from './find'
import firmware from './firmware'
import fleet from './fleet'
import messages from './messages'
import network from './network'
import news from './news'
import overview from './overview'
import security from './security'
import setup from './setup'
import system from './system'
import trends from './trends'
import uplinks from './uplinks'

// Each file holds the texts of one part of the page, under top-level names of its own.
export default {
  ...common,
  ...alarms,
  ...door,
  ...overview,
  ...system,
  ...uplinks,
  ...cloud,
  ...devices,
  ...messages,
  ...network,
  ...news,
  ...trends,
  ...buses,
  ...config,
  ...find,
  ...firmware,
  ...fleet,
  ...setup,
  ...security,
}
