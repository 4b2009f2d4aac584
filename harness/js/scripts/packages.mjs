// Makes the npm packages of a release: that of each platform, with its program, from the archives of scripts/release.sh, and
// inngest-harness, which names them as optional dependencies. It is built before.
//
//   node scripts/packages.mjs v0.1.0 ARCHIVES DIRECTORY
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [tag, archives, target] = process.argv.slice(2)
const version = tag.replace(/^v/, '')
const root = fileURLToPath(new URL('..', import.meta.url))
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const names = { windows: 'win32', amd64: 'x64' } // of Go, where Node has others

const scratch = mkdtempSync(join(tmpdir(), 'packages-'))
const optionalDependencies = {}
for (const archive of readdirSync(archives)) {
  const [, name, goos, goarch] = archive.match(/^(inngest-harness-v[\d.]+-([a-z]+)-([a-z0-9]+))\.tar\.gz$/) ?? []
  if (!name) continue
  const [os, cpu] = [names[goos] ?? goos, names[goarch] ?? goarch]
  const program = goos === 'windows' ? 'harness.exe' : 'harness'
  execFileSync('tar', ['-xzf', join(archives, archive), '-C', scratch])
  const platform = `@inngest-harness/${os}-${cpu}`
  const dir = write(platform, {
    name: platform,
    version,
    description: `The program of inngest-harness for ${os} on ${cpu}, with a mail catcher and a database`,
    license: own.license,
    repository: own.repository,
    os: [os],
    cpu: [cpu],
    files: ['bin'],
    preferUnplugged: true,
  })
  for (const file of [program, 'servers']) {
    cpSync(join(scratch, name, file), join(dir, 'bin', file), { recursive: true })
  }
  writeFileSync(
    join(dir, 'README.md'),
    `The program of inngest-harness for ${os} on ${cpu}: install \`inngest-harness\`.\n`,
  )
  optionalDependencies[platform] = version
}
rmSync(scratch, { recursive: true })
if (Object.keys(optionalDependencies).length === 0) throw new Error(`there is no archive of a release in ${archives}`)

const { devDependencies, scripts, prettier, ...published } = own
const dir = write(own.name, { ...published, version, optionalDependencies })
for (const file of ['dist', 'README.md']) cpSync(join(root, file), join(dir, file), { recursive: true })
cpSync(join(root, '../stackapi/schemas'), join(dir, 'schemas'), { recursive: true })

// write makes the directory of a package.
function write(name, content) {
  const dir = join(target, name)
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'package.json'), JSON.stringify(content, null, 2) + '\n')
  cpSync(join(root, '../../LICENSE'), join(dir, 'LICENSE'))
  return dir
}
