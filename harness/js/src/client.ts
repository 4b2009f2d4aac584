import { request } from 'node:http'
import { type ErrorCode, HarnessError, callSite } from './errors.js'

/** @internal Where the API of a stack is. */
export interface Endpoint {
  url: string
  token?: string
}

/** @internal Values of a query. */
export type Query = Record<string, string | number | boolean | string[] | undefined>

/** The answer to a request that waits when the stack ends: as one that has none, it does not say why. */
const stopping = 'the stack is being stopped'

/** @internal Asks the API of a stack. */
export class Client {
  constructor(
    private readonly api: Endpoint,
    /** Says why the stack does not answer, once that is known. */
    private readonly why: () => Promise<string | undefined>,
  ) {}

  async get<T>(path: string, query?: Query): Promise<T> {
    return JSON.parse(await this.ask('GET', path, query)) as T
  }

  async post<T>(path: string, body?: unknown): Promise<T> {
    return JSON.parse(await this.ask('POST', path, undefined, body)) as T
  }

  async delete<T>(path: string, query?: Query): Promise<T> {
    return JSON.parse(await this.ask('DELETE', path, query)) as T
  }

  /** Returns an answer that is no JSON. */
  text(path: string): Promise<string> {
    return this.ask('GET', path)
  }

  private async ask(method: string, path: string, query: Query = {}, body?: unknown): Promise<string> {
    const at = callSite()
    const url = new URL(this.api.url + path)
    for (const [name, value] of Object.entries(query)) {
      for (const one of [value ?? []].flat()) url.searchParams.append(name, String(one))
    }
    const { status, text } = await this.exchange(
      method,
      url,
      body === undefined ? undefined : JSON.stringify(body),
    ).catch((error) => {
      throw at(error)
    })
    if (status < 400) return text
    let failure = {
      error: `${method} ${path} is answered with status ${status}: ${text.slice(0, 200)}`,
      code: 'failed' as ErrorCode,
    }
    try {
      failure = JSON.parse(text) as typeof failure
    } catch {
      // it is not of the API
    }
    if (failure.error === stopping) throw at(new HarnessError((await this.why()) ?? stopping, 'unreachable'))
    throw at(new HarnessError(failure.error, failure.code))
  }

  /** Not by fetch: it gives up after five minutes, and tests replace it. */
  private exchange(method: string, url: URL, body?: string): Promise<{ status: number; text: string }> {
    return new Promise((done, fail) => {
      const lost = async (error: Error) => {
        const why = (await this.why()) ?? `the stack at ${this.api.url} does not answer: ${error.message}`
        fail(new HarnessError(why, 'unreachable'))
      }
      const headers: Record<string, string> = { Authorization: `Bearer ${this.api.token ?? ''}` }
      if (body !== undefined) headers['Content-Type'] = 'application/json'
      request(url, { method, headers, agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('error', lost)
        response.on('end', () => done({ status: response.statusCode ?? 0, text }))
      })
        .on('error', lost)
        .end(body)
    })
  }
}
