import type en from '../en'
import buses from './buses'
import common from './common'
import devices from './devices'
import door from './door'
import find from './find'
import messages from './messages'
import overview from './overview'
import setup from './setup'
import uplinks from './uplinks'

// The same texts as in English: the compiler finds one that is missing.
const zh: typeof en = {
  ...common,
  ...door,
  ...overview,
  ...uplinks,
  ...devices,
  ...messages,
  ...buses,
  ...find,
  ...setup,
}

export default zh
