import { page } from './live'

// What somebody may do, each role with what those before it may: viewers look, operators write to devices,
// send messages and try things out, administrators change the gateway.
export const roles = ['viewer', 'operator', 'administrator'] as const
export type Role = (typeof roles)[number]

// roleOf reads a role; what is unknown may do the least.
export const roleOf = (name: string | undefined): Role => roles.find((role) => role === name) ?? 'viewer'

// atLeast says whether a role includes another.
export const atLeast = (role: Role, least: Role): boolean => roles.indexOf(role) >= roles.indexOf(least)

// mayWrite says whether who is signed in may do what operators do.
export const mayWrite = (): boolean => atLeast(page.role, 'operator')

// mayAdminister says whether who is signed in may change the gateway.
export const mayAdminister = (): boolean => atLeast(page.role, 'administrator')
