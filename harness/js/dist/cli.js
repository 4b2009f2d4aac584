#!/usr/bin/env node
"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
// The command harness: the binary of this platform, with the same arguments.
const node_child_process_1 = require("node:child_process");
const node_os_1 = require("node:os");
const binary_js_1 = require("./binary.js");
try {
    const child = (0, node_child_process_1.spawn)((0, binary_js_1.binary)(), process.argv.slice(2), { stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
        // A terminal sends SIGINT to the child, too; npx and process managers send signals to this process alone.
        process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY) || child.kill(signal));
    }
    child.on('error', (error) => fail(error));
    child.on('exit', (status, signal) => process.exit(status ?? 128 + (signal ? node_os_1.constants.signals[signal] : 0)));
}
catch (error) {
    fail(error);
}
function fail(error) {
    console.error(`harness: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
}
