import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

process.env.HARNESS_BIN ??= fileURLToPath(new URL('../../bin/harness', import.meta.url)) // made by scripts/js.sh

export default defineConfig({
  test: {
    include: ['test/*.test.mts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    unstubEnvs: true,
    maxConcurrency: 3,
  },
})
