"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.Client = void 0;
const node_http_1 = require("node:http");
const errors_js_1 = require("./errors.js");
/** @internal Asks the API of a stack. */
class Client {
    api;
    why;
    constructor(api, 
    /** Says why the stack does not answer, if that is known. */
    why) {
        this.api = api;
        this.why = why;
    }
    async get(path, query) {
        return JSON.parse(await this.ask('GET', path, query));
    }
    async post(path, body) {
        return JSON.parse(await this.ask('POST', path, undefined, body));
    }
    async delete(path, query) {
        return JSON.parse(await this.ask('DELETE', path, query));
    }
    /** Returns an answer that is no JSON. */
    text(path) {
        return this.ask('GET', path);
    }
    async ask(method, path, query = {}, body) {
        const at = (0, errors_js_1.callSite)();
        const url = new URL(this.api.url + path);
        for (const [name, value] of Object.entries(query)) {
            for (const one of [value ?? []].flat())
                url.searchParams.append(name, String(one));
        }
        const { status, text } = await this.exchange(method, url, body === undefined ? undefined : JSON.stringify(body));
        if (status < 400)
            return text;
        let failure = {
            error: `${method} ${path} is answered with status ${status}: ${text.slice(0, 200)}`,
            code: 'failed',
        };
        try {
            failure = JSON.parse(text);
        }
        catch {
            // it is not of the API
        }
        throw at(new errors_js_1.HarnessError(failure.error, failure.code));
    }
    /** Not by fetch: it gives up after five minutes, and tests replace it. */
    exchange(method, url, body) {
        return new Promise((done, fail) => {
            const lost = (error) => fail(new errors_js_1.HarnessError(this.why() ?? `the stack at ${this.api.url} does not answer: ${error.message}`, 'unreachable'));
            const headers = { Authorization: `Bearer ${this.api.token ?? ''}` };
            if (body !== undefined)
                headers['Content-Type'] = 'application/json';
            (0, node_http_1.request)(url, { method, headers, agent: false }, (response) => {
                let text = '';
                response.setEncoding('utf8');
                response.on('data', (chunk) => (text += chunk));
                response.on('error', lost);
                response.on('end', () => done({ status: response.statusCode ?? 0, text }));
            })
                .on('error', lost)
                .end(body);
        });
    }
}
exports.Client = Client;
