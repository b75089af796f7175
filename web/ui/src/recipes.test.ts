import { expect, test } from 'vitest'

import { begun, missing, recipeOf, recipes } from './recipes'

test('every recipe begins with routes and says what is missing', () => {
  for (const recipe of recipes) {
    const section = begun(recipe, 'cloud')
    expect(section.driver).toBe(recipe.driver)
    expect((section.forward as unknown[]).length).toBeGreaterThan(0)
    expect(missing(section).map((field) => field.path)).toEqual(recipe.fields.filter((field) => field.must).map((field) => field.path))
  }
  expect(recipeOf('none')).toBeUndefined()
  expect(missing({ driver: 'aws-iot', address: 'h', tls: { cert: '/c' } }).map((field) => field.path.join('.'))).toEqual(['tls.key'])
})
