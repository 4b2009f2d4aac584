import { existsSync } from 'node:fs'
import { HarnessError } from './errors.js'

/** @internal Returns the path of the harness's binary: that of HARNESS_BIN, else that of the package for this platform. */
export function binary(): string {
  const given = process.env['HARNESS_BIN']
  if (given) {
    if (!existsSync(given)) {
      throw new HarnessError(`HARNESS_BIN is ${given}, and there is no such file`, 'no-binary')
    }
    return given
  }
  const platform = `${process.platform}-${process.arch}`
  const name = `@inngest-harness/${platform}`
  try {
    return require.resolve(`${name}/bin/harness${process.platform === 'win32' ? '.exe' : ''}`)
  } catch {
    throw new HarnessError(
      `there is no binary of the harness for ${platform}: the package ${name} is not installed. ` +
        'npm installs it beside inngest-harness, unless it was run with --omit=optional, on another platform, or with a ' +
        'lock file from another platform: run `npm install` here. Or name a binary in HARNESS_BIN.',
      'no-binary',
    )
  }
}
