import vue from 'eslint-plugin-vue'
import accessibility from 'eslint-plugin-vuejs-accessibility'
import typescript from 'typescript-eslint'

// What finds mistakes; how lines are broken is nobody's business here.
export default typescript.config(
  { ignores: ['dist/', 'src/openapi.d.ts'] },
  ...typescript.configs.recommended,
  ...vue.configs['flat/essential'],
  ...accessibility.configs['flat/recommended'],
  {
    files: ['**/*.vue'],
    languageOptions: { parserOptions: { parser: typescript.parser } },
  },
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_', ignoreRestSiblings: true }], // what is taken out of an object
      eqeqeq: 'error',
      'no-console': 'error',
      'no-eval': 'error',
      'vue/multi-word-component-names': 'off', // Lamp is a lamp
      'vue/no-v-html': 'error', // what devices say is text
      'vuejs-accessibility/label-has-for': 'off', // a label may hold its field
      'vuejs-accessibility/no-autofocus': 'off', // a dialog and a door begin at their first field
    },
  },
  { files: ['build/**', 'e2e/**'], rules: { 'no-console': 'off' } },
)
