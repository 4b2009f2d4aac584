// What the tests of each runner have in common. They are run by runners.test.mts.
const { mkdirSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

exports.options = {
  command: ['node', join(__dirname, '../app/app.mjs')],
  inngest: 'sim',
  goldens: { dir: process.env.GOLDENS },
}

exports.order = (email) => ({ name: 'order/placed', data: { order: 'A1', email } })

/** Never ends, and says so. */
exports.hang = () => {
  writeFileSync(process.env.HANGS, '')
  setInterval(() => {}, 1000)
  return new Promise(() => {})
}

/** Tells which process keeps the stack up. */
exports.tell = ({ stack }) => {
  mkdirSync(process.env.STACKS, { recursive: true })
  writeFileSync(join(process.env.STACKS, `${stack.state.pid}`), '')
}
