export default { test: { testTimeout: 60_000, globalSetup: './all.setup.mjs' } }
