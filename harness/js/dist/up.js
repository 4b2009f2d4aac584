"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.up = up;
exports.isAlive = isAlive;
exports.indent = indent;
const node_child_process_1 = require("node:child_process");
const node_fs_1 = require("node:fs");
const node_os_1 = require("node:os");
const node_path_1 = require("node:path");
const binary_js_1 = require("./binary.js");
const errors_js_1 = require("./errors.js");
const tempPrefix = 'inngest-harness-';
const keptLines = 200;
const stopTimeout = 15_000;
/** @internal Starts `harness up` and waits until all is up. It ends when this process, or worker thread, ends. */
async function up(options) {
    const dir = options.dir === undefined ? tempDir() : (0, node_path_1.resolve)(options.dir);
    (0, node_fs_1.mkdirSync)(dir, { recursive: true });
    const child = (0, node_child_process_1.spawn)((0, binary_js_1.binary)(), ['up', ...flags(options), '--stack', dir, ...appCommand(options.command)], {
        cwd: options.cwd,
        env: { ...process.env, ...options.env },
        stdio: ['pipe', 'pipe', 'pipe'], // it ends when stdin does
        windowsHide: true,
    });
    const lines = [];
    eachLine(child.stderr, (line) => {
        lines.push(line);
        if (lines.length > keptLines)
            lines.shift();
        options.onOutput?.(line);
    });
    let why;
    const exited = new Promise((done) => {
        child.on('error', (error) => done(void (why = `cannot be started: ${error.message}`)));
        child.on('close', (status, signal) => done(void (why ??= `has ended with ${signal ?? `status ${status}`}`)));
    });
    child.stdin.on('error', () => { }); // it has ended
    const log = () => lines.join('\n');
    const stop = async () => {
        child.ref();
        child.stdin.end();
        child.kill('SIGTERM');
        const kill = setTimeout(() => child.kill('SIGKILL'), stopTimeout);
        await exited;
        clearTimeout(kill);
        if (options.dir === undefined)
            (0, node_fs_1.rmSync)(dir, { recursive: true, force: true, maxRetries: 5 });
    };
    const state = await Promise.race([firstObject(child.stdout), exited]);
    if (state === undefined) {
        await stop();
        throw new errors_js_1.HarnessError(`the stack did not start: harness up ${why}\n${indent(log() || 'it printed nothing')}`, 'no-stack');
    }
    // It does not keep this process alive, whose end is its end.
    for (const handle of [child, child.stdin, child.stdout, child.stderr])
        handle.unref();
    return { state, dir, log, ended: () => why, stop };
}
/** The flags of `harness up`. */
function flags(o) {
    const list = ['--json', '--ports', 'free'];
    const add = (flag, value) => value === undefined || list.push(`--${flag}`, `${value}`);
    add('inngest', o.inngest);
    add('backend', o.backend);
    add('mail', o.mail);
    add('mongo', o.mongo);
    add('app-path', o.appPath);
    add('retry-interval', o.retryInterval);
    add('run-header', o.runHeader);
    add('seed', o.seed);
    add('app-timeout', o.startTimeout);
    for (const dir of [o.watch ?? []].flat())
        add('watch', dir);
    if (o.connect)
        list.push('--connect');
    if (o.taps === false)
        list.push('--taps=false');
    return list;
}
function appCommand(command) {
    if (command === undefined || command.length === 0)
        return [];
    if (typeof command !== 'string')
        return ['--', ...command];
    return process.platform === 'win32' ? ['--', 'cmd', '/d', '/s', '/c', command] : ['--', 'sh', '-c', command];
}
/** Makes a directory, and removes those of processes that were killed. */
function tempDir() {
    for (const name of (0, node_fs_1.readdirSync)((0, node_os_1.tmpdir)())) {
        const pid = name.startsWith(tempPrefix) && parseInt(name.slice(tempPrefix.length));
        if (pid && !isAlive(pid))
            (0, node_fs_1.rmSync)((0, node_path_1.join)((0, node_os_1.tmpdir)(), name), { recursive: true, force: true });
    }
    return (0, node_fs_1.mkdtempSync)((0, node_path_1.join)((0, node_os_1.tmpdir)(), `${tempPrefix}${process.pid}-`));
}
/** @internal Reports whether a process is there. */
function isAlive(pid) {
    try {
        return process.kill(pid, 0);
    }
    catch (error) {
        return error.code === 'EPERM'; // of another user
    }
}
/** Returns the text of the first JSON object. It reads on, since a program may end when its output is closed. */
function firstObject(stream) {
    let text = '';
    return new Promise((found) => {
        stream.setEncoding('utf8').on('data', (chunk) => {
            text += chunk;
            try {
                JSON.parse(text);
                found(text);
            }
            catch {
                // it is not complete
            }
        });
    });
}
function eachLine(stream, line) {
    let rest = '';
    stream.setEncoding('utf8').on('data', (chunk) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach((text) => line(text.replace(/\r$/, '')));
    });
}
/** @internal Puts a text below a sentence. */
function indent(text) {
    return text.replace(/^/gm, '  ');
}
