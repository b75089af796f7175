import type { components } from './openapi'

// Schemas are the types of the API by the names that its description gives them.
export type Schemas = components['schemas']
