// A real server with workers and sources, in a temporary directory.

import { spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SECRET = 'not-a-real-secret';

/** The longest name that a worker can have. */
export const LONG_NAME = 'W'.repeat(64);

/** What must be shown as it is, and never run. */
export const HOSTILE = '<img src=x onerror="window.ran=1">"\'</script><script>window.ran=2</script>{{7*7}} ${window.ran=3} javascript:window.ran=4';

const script = (text) => JSON.stringify(['sh', '-c', text]);

function config(home) {
  const hostile = JSON.stringify({ output: HOSTILE, [HOSTILE]: [HOSTILE] }).replaceAll("'", '\\u0027');
  return `
[[worker]]
name = "upper"
command = ["tr", "a-z", "A-Z"]

[[worker]]
name = "flaky"
max_attempts = 1
command = ${script(`test -e ${home}/mended || { echo 'no such repository: octo/hello' >&2; exit 3; }; cat`)}

[[worker.events]]
source = "builds"
on = "clone"
prompt = "Clone {{ payload.what | fence }}"

[[worker]]
name = "slow"
command = ["sleep", "600"]

[[worker]]
name = "mean"
max_attempts = 1
command = ${script(`if read -r line && [ "$line" = fail ]; then printf %s '${HOSTILE.replaceAll("'", "'\\''")}' >&2; exit 1; fi; printf %s '${hostile}'`)}

[[worker]]
name = "${LONG_NAME}"
endpoint = "http://127.0.0.1:1"

[[source]]
name = "builds"
kind = "hmac"
secret = "${SECRET}"
header = "X-Signature"
encoding = "hex"
algorithm = "sha256"
type_header = "X-Event"
ignore_actors = ["*[bot]"]

[[worker.events]]
source = "builds"
on = "never"
filter = { title = "something else" }
prompt = "never"

[[source]]
name = "github"
kind = "github"
secret = "${SECRET}"
`.replace(/\n\[\[worker\]\]\nname = "upper"\ncommand = .*\n/, (table) => `${table}
[[worker.events]]
source = "builds"
on = "build.failed"
when = "payload.tries > 2"
prompt = "Find out why {{ payload.what }} failed"

[[worker.events]]
source = "builds"
on = ["deploy.*"]
prompt = "Deploy {{ payload.what }}"
auto = false

[[worker.events]]
source = "builds"
on = "release"
prompt = "Announce {{ payload.release.name }}"

[[worker.events]]
source = "github"
on = "pull_request.*"
filter = { base_branch = "main" }
prompt = "Review {{ title }}"
`);
}

export class Server {
  static async start(mecha, { key } = {}) {
    const server = new Server();
    server.mecha = mecha;
    server.key = key;
    server.home = mkdtempSync(join(tmpdir(), 'mecha-page-'));
    writeFileSync(join(server.home, 'mecha.toml'), config(server.home), { mode: 0o600 });
    await server.run('127.0.0.1:0');
    return server;
  }

  async run(addr) {
    const env = { ...process.env };
    delete env.MECHA_API_KEY;
    if (this.key) env.MECHA_API_KEY = this.key;
    this.log = '';
    this.hasEnded = false;
    this.process = spawn(this.mecha, ['serve', '--addr', addr, '--data', join(this.home, 'data'), '--config', join(this.home, 'mecha.toml')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.ended = new Promise((done) => this.process.on('exit', done));
    this.address = await new Promise((found, failed) => {
      this.process.stderr.on('data', (piece) => {
        this.log += piece;
        const match = this.log.match(/listening on (http:\/\/\S+)/);
        if (match) found(match[1]);
      });
      this.ended.then(() => {
        this.hasEnded = true;
        failed(new Error(`the server ended:\n${this.log}`));
      });
    });
  }

  /** Ends the process and leaves its data. */
  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  async stop() {
    await this.kill();
    rmSync(this.home, { recursive: true, force: true });
  }

  mend() {
    writeFileSync(join(this.home, 'mended'), '');
  }

  async ask(method, path, body) {
    const headers = this.key ? { authorization: `Bearer ${this.key}` } : {};
    const answer = await fetch(this.address + path, { method, body: body && JSON.stringify(body), headers });
    const json = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(json)}`);
    return json;
  }

  submit(prompt, worker, context) {
    return this.ask('POST', '/task', { prompt, worker, context });
  }

  /** Submits a task and waits for its end. */
  async finished(prompt, worker, context) {
    const { id } = await this.submit(prompt, worker, context);
    return this.ask('GET', `/task/${id}?wait=30s`);
  }

  /** Delivers a signed webhook; `signature` replaces the right one. */
  async deliver(type, payload, { source = 'builds', signature } = {}) {
    const body = JSON.stringify({ nonce: randomUUID(), ...payload });
    const right = createHmac('sha256', SECRET).update(body).digest('hex');
    const headers = source === 'github'
      ? { 'x-github-event': type, 'x-github-delivery': randomUUID(), 'x-hub-signature-256': signature ?? `sha256=${right}` }
      : { 'x-event': type, 'x-signature': signature ?? right };
    const answer = await fetch(`${this.address}/webhook/${source}`, { method: 'POST', headers, body });
    return { status: answer.status, json: await answer.json() };
  }
}

/** Waits until `condition` gives something, asking it again and again. */
export async function until(what, condition) {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`it did not come about: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
