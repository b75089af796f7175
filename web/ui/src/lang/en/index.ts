import buses from './buses'
import common from './common'
import devices from './devices'
import door from './door'
import find from './find'
import messages from './messages'
import overview from './overview'
import setup from './setup'
import uplinks from './uplinks'

// Each file holds the texts of one part of the page, under top-level names of its own.
export default {
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
