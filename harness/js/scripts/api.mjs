// Writes src/api.ts, the types of the JSON API, from its OpenAPI document; with --check it fails where the file is another.
import { readFile, writeFile } from 'node:fs/promises'
import { compile } from 'json-schema-to-typescript'

const source = new URL('../../stackapi/openapi.json', import.meta.url)
const target = new URL('../src/api.ts', import.meta.url)
const refs = /"#\/components\/schemas\//g

const document = JSON.parse((await readFile(source, 'utf8')).replace(refs, '"#/$defs/'))
const $defs = document.components.schemas
Object.values($defs).forEach(simplify)

let types = await compile({ title: 'API', type: 'object', additionalProperties: false, $defs }, 'API', {
  bannerComment: '// Made by scripts/api.mjs from the OpenAPI document of the harness. Do not edit.',
  additionalProperties: false,
  ignoreMinAndMaxItems: true,
  unreachableDefinitions: true,
  style: { semi: false, singleQuote: true, printWidth: 120 },
})
types = types
  .replace(/\n \*\n \* This interface was referenced by `API`'s JSON-Schema\n \* via the `definition` "\w+"\.\n/g, '\n')
  .replace(
    /\/\*\*\n \* This interface was referenced by `API`'s JSON-Schema\n \* via the `definition` "\w+"\.\n \*\/\n/g,
    '',
  )
  .replace('export interface API {}\n', '')

if (!process.argv.includes('--check')) {
  await writeFile(target, types)
} else if ((await readFile(target, 'utf8')) !== types) {
  console.error('src/api.ts is not what the OpenAPI document says: run npm run api')
  process.exitCode = 1
}

// simplify leaves out what types cannot say, and says the rest so that each type is written once.
function simplify(schema) {
  if (!schema || typeof schema !== 'object') return
  if (schema.type === 'object' && !schema.properties && !schema.additionalProperties) schema.tsType = 'object'
  if (schema.properties)
    for (const rule of ['anyOf', 'oneOf', 'allOf', 'not', 'if', 'then', 'else']) delete schema[rule]
  if (typeof schema.description === 'string') {
    schema.description = schema.description.replace(/(.{1,100})(?: |$)/g, '$1\n').trimEnd()
    if (schema.$ref) {
      schema.tsType = schema.$ref.split('/').pop()
      delete schema.$ref
    } else if (Object.keys(schema).length === 1) {
      schema.tsType = 'unknown'
    } else if (schema.contentEncoding === 'base64') {
      schema.tsType = 'Buffer'
    }
  }
  Object.values(schema).forEach(simplify)
}
