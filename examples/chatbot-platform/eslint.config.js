import { defineConfig } from 'eslint/config'
import typescript from 'typescript-eslint'

export default defineConfig({ ignores: ['dist/'] }, typescript.configs.strict, {
  // A signal's handler may ask for what is assigned after it is set.
  rules: { 'prefer-const': ['error', { ignoreReadBeforeAssign: true }] },
})
