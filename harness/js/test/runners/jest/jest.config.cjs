module.exports = { testMatch: ['**/*.test.cjs'], testTimeout: 60_000, transform: {} }
