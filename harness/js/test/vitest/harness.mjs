import { fileURLToPath } from 'node:url'
import { harnessTest } from 'inngest-harness/vitest'

export const test = harnessTest({
  command: ['node', fileURLToPath(new URL('../app/app.mjs', import.meta.url))],
  inngest: 'sim',
})
