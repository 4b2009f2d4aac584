"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.InjectedFault = exports.Stack = void 0;
exports.startStack = startStack;
exports.connectStack = connectStack;
const node_fs_1 = require("node:fs");
const node_path_1 = require("node:path");
const client_js_1 = require("./client.js");
const errors_js_1 = require("./errors.js");
const up_js_1 = require("./up.js");
/** Starts the servers, and the app on them. They end with {@link Stack.stop}, or when this process ends, however it does. */
async function startStack(options = {}) {
    return Stack.of(await (0, up_js_1.up)(options));
}
/**
 * Connects to a stack that is up: that of a `harness up`, in another terminal say.
 *
 * @param options.dir - The directory of that stack. Default: that of the variable HARNESS_STACK, else this one or one above it.
 */
async function connectStack(options = {}) {
    const dir = options.dir ?? process.env['HARNESS_STACK'];
    const file = stateFile(dir);
    if (!file) {
        throw new errors_js_1.HarnessError(`no stack is up ${dir ? `in ${dir}` : 'here'}: start one with \`npx harness up\``, 'no-stack');
    }
    return Stack.connect((0, node_fs_1.readFileSync)(file, 'utf8'), (0, node_path_1.dirname)((0, node_path_1.dirname)(file)));
}
function stateFile(dir) {
    for (let at = (0, node_path_1.resolve)(dir ?? '.');; at = (0, node_path_1.dirname)(at)) {
        const file = (0, node_path_1.join)(at, '.harness', 'stack.json');
        // What a file of another user names is not to be trusted.
        if ((0, node_fs_1.existsSync)(file) && (!process.getuid || (0, node_fs_1.statSync)(file).uid === process.getuid()))
            return file;
        if (dir !== undefined || at === (0, node_path_1.dirname)(at))
            return undefined;
    }
}
/** A stack that is up: its servers, and the app on them. */
class Stack {
    client;
    state;
    dir;
    up;
    /** Reads the emails that the app has sent. */
    mail;
    constructor(client, 
    /** What `harness up` says of the stack. */ state, 
    /** The directory of its state and logs. */
    dir, up) {
        this.client = client;
        this.state = state;
        this.dir = dir;
        this.up = up;
        this.mail = mailBox(client);
    }
    /** @internal */
    static of(up) {
        return Stack.connect(up.state, up.dir, up);
    }
    /** @internal */
    static async connect(text, dir, up) {
        const { api } = JSON.parse(text);
        if (!api)
            throw new errors_js_1.HarnessError(`the stack in ${dir} has no API: it was started by an older version of the harness`, 'no-stack');
        const client = new client_js_1.Client(api, () => {
            const why = up?.ended();
            return up && why && `the stack is down: harness up ${why}\n${(0, up_js_1.indent)(up.log())}`;
        });
        return new Stack(client, await client.get('/stack'), dir, up);
    }
    /** The variables that an app on this stack gets. */
    get env() {
        return this.state.env ?? {};
    }
    /** Where everything is. */
    get urls() {
        const { app, dashboard, inngest, mailhog, mongo } = this.state;
        return {
            app: app.url,
            dashboard: dashboard?.url,
            inngest: inngest.url,
            mail: mailhog.url,
            smtp: mailhog.smtp,
            mongo: mongo.uri,
        };
    }
    /** The end of what the stack and the app have printed, if this process started the stack. */
    log() {
        return this.up?.log() ?? '';
    }
    async send(events) {
        const sent = await this.client.post('/events', events);
        return Array.isArray(events) ? sent : sent[0];
    }
    /** Starts a function, whatever triggers it: a schedule, too. */
    invoke(functionId, data) {
        return this.client.post('/invoke', { function: functionId, data });
    }
    /** Sends an event, unless it was sent, and judges what follows from it. A verdict that does not hold is returned. */
    async judge(event, expectation, options = {}) {
        const golden = options.golden && { ...options.golden, dir: (0, node_path_1.resolve)(options.golden.dir) };
        const id = eventId(event);
        const question = { ...(id === undefined ? { event } : { eventId: id }), expectation, ...options, golden };
        const answer = await this.client.post('/judge', question);
        answer.verdict.trace.mail?.forEach(withBytes);
        return { ...answer.verdict, eventId: answer.eventId, text: answer.text };
    }
    /** Like {@link judge}, but a verdict that does not hold is thrown, as a {@link VerdictError} whose message is its text. */
    async expect(event, expectation, options = {}) {
        const at = (0, errors_js_1.callSite)();
        try {
            const verdict = await this.judge(event, expectation, options);
            if (verdict.outcome !== 'holds')
                throw new errors_js_1.VerdictError(verdict.text, verdict);
            return verdict;
        }
        catch (error) {
            throw at(error);
        }
    }
    /** The latest events, newest first, with their runs. */
    events(options = {}) {
        return this.client.get('/events', options);
    }
    /** An event, with its runs and their steps. */
    event(event) {
        return this.client.get(`/events/${eventId(event)}`);
    }
    /**
     * Runs, those of the newest event first.
     *
     * @param filter.event - An event that was sent, or the name of events.
     * @param filter.all - Also the runs that events of the server started: schedules, invocations, handlers of failures.
     * @param filter.limit - How many events to look at. Default: 100.
     */
    async runs(filter = {}) {
        const { event, all, limit = 100 } = filter;
        const one = event !== undefined && (typeof event !== 'string' || isEventId(event));
        const events = one ? [await this.event(event)] : await this.events({ all, limit, steps: true });
        return events
            .filter((e) => one || event === undefined || e.name === event)
            .flatMap((e) => e.runs)
            .filter((run) => filter.function === undefined || [run.function, `${run.app}-${run.function}`].includes(filter.function))
            .filter((run) => filter.status === undefined || run.status === filter.status);
    }
    /**
     * All that has followed from an event so far.
     *
     * @param options.to - Recipients of emails that belong to it even if they name no run.
     */
    async trace(event, options = {}) {
        const trace = await this.client.get(`/events/${eventId(event)}/trace`, { to: options.to });
        trace.mail?.forEach(withBytes);
        return trace;
    }
    /** Puts the clock of sim forward: `skip('3d')` for all, `skip({ run, by: '3d' })` for one run and those that descend from it. */
    async skip(time) {
        const { now } = await this.client.post('/skip', typeof time === 'string' ? { by: time } : time);
        return new Date(now);
    }
    /**
     * Replaces the results of a step, one for each attempt, the last one for all further ones. Its code is not called. Without
     * outcomes the step is as it was. Only sim can do this.
     */
    async replace(functionId, step, ...outcomes) {
        await this.client.post('/replace', { replace: [{ function: functionId, step, outcomes }] });
    }
    /** Answers HTTP requests that steps let sim make: `step.fetch`, AI inference. */
    async stub(...stubs) {
        await this.client.post('/replace', { stubs });
    }
    /** Makes a fault happen on a wire between app, Inngest and mail server. */
    async fault(fault) {
        return new InjectedFault(this.client, await this.client.post('/faults', fault));
    }
    /** A service that can be stopped and started. */
    service(service) {
        const act = (action) => async () => void (await this.client.post(`/services/${service}/${action}`));
        return {
            stop: act('stop'),
            start: act('start'),
            restart: act('restart'),
            kill: act('kill'),
            pause: act('pause'),
            resume: act('resume'),
        };
    }
    /** Compares an email with a golden email, or writes that, if `update` is set. A difference is thrown, as a {@link HarnessError}. */
    async golden(name, mail, goldens) {
        const at = (0, errors_js_1.callSite)();
        const body = { ...goldens, dir: (0, node_path_1.resolve)(goldens.dir), name, mail: typeof mail === 'string' ? mail : mail.id };
        const { matches, text } = await this.client.post('/golden', body);
        if (!matches)
            throw at(new errors_js_1.HarnessError(text ?? `the email differs from the golden ${name}`, 'differs'));
    }
    /** @internal Says how a test ended. */
    async endTest(end) {
        await this.client.post('/tests', end);
    }
    /** Stops the app and the servers, if this process started them. */
    async stop() {
        await this.up?.stop();
    }
    async [Symbol.asyncDispose]() {
        await this.stop();
    }
}
exports.Stack = Stack;
/** A fault that was injected into a wire. */
class InjectedFault {
    client;
    id;
    /** What it does, in a few words. */
    text;
    /** @internal */
    constructor(client, view) {
        this.client = client;
        this.id = view.id;
        this.text = view.text;
    }
    /** How often it has acted. */
    async applied() {
        return (await this.client.get(`/faults/${this.id}`)).applied;
    }
    /** Waits until it acts: until something is held, if that is what it does. */
    async reached(timeout = '10s') {
        const at = (0, errors_js_1.callSite)();
        const { applied } = await this.client.get(`/faults/${this.id}`, { wait: timeout });
        if (!applied)
            throw at(new errors_js_1.HarnessError(`the fault has not acted within ${timeout}: ${this.text}`, 'failed'));
    }
    /** Disarms it, and lets what it holds go on. */
    async release() {
        await this.client.post(`/faults/${this.id}/release`);
    }
    /** Disarms it, and closes what it holds. */
    async drop() {
        await this.client.delete(`/faults/${this.id}`);
    }
}
exports.InjectedFault = InjectedFault;
function mailBox(client) {
    const query = ({ headers = {}, ...filter } = {}) => ({
        ...filter,
        header: Object.entries(headers).map(([name, value]) => `${name}:${value}`),
    });
    const find = async (filter, wait) => (await client.get('/mail', { ...query(filter), wait })).map(withBytes);
    return Object.assign((filter) => find(filter), {
        wait: async (filter, timeout = '10s') => (await find(filter, timeout))[0],
        source: (mail) => client.text(`/mail/${typeof mail === 'string' ? mail : mail.id}/raw`),
        clear: async (filter) => (await client.delete('/mail', query(filter))).removed,
    });
}
/** Completes an email: in JSON the bytes of its files are in Base64. */
function withBytes(mail) {
    const decoded = (parts = []) => parts.map((part) => ({ ...part, data: Buffer.from(part.data ?? '', 'base64') }));
    return Object.assign(mail, { attachments: decoded(mail.attachments), inlines: decoded(mail.inlines) });
}
function isEventId(text) {
    return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);
}
/** Returns the id of an event that was sent; undefined for one to send. */
function eventId(event) {
    if (typeof event === 'string')
        return event;
    return 'eventId' in event ? event.eventId : undefined;
}
