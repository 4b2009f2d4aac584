#!/usr/bin/env node
// The command harness: the binary of this platform, with the same arguments.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { binary } from './binary.js'

try {
  const child = spawn(binary(), process.argv.slice(2), { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // A terminal sends SIGINT to the child, too; npx and process managers send signals to this process alone.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal))
  }
  child.on('error', (error) => fail(error))
  child.on('exit', (status, signal) => process.exit(status ?? 128 + (signal ? constants.signals[signal] : 0)))
} catch (error) {
  fail(error)
}

function fail(error: unknown): never {
  console.error(`harness: ${error instanceof Error ? error.message : error}`)
  process.exit(1)
}
