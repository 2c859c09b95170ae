'use strict';
// What the steps share: clients with promises, the proxy's control line, waits with deadlines, counted steps.

const assert = require('node:assert');
const net = require('node:net');
const readline = require('node:readline');
const zookeeper = require('node-zookeeper-client');

// Milliseconds. The server under test ticks every half second, so that it grants this timeout as it is.
const SESSION = 3000;
const TICK = 500;
// How long anything may take that is not bound to a session's timeout.
const PATIENCE = 15000;
const ROOT = '/node';

function check(what, found, wanted) {
  assert.deepStrictEqual(found, wanted, `${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(wanted)}`);
}

// The call has to fail with exactly this error code.
async function refused(what, code, promise) {
  try {
    await promise;
  } catch (error) {
    check(`${what}: error code of ${error}`, error.code, code);
    return;
  }
  throw new Error(`${what}: accepted, expected error ${code}`);
}

async function wait(what, condition, limit = PATIENCE) {
  const deadline = Date.now() + limit;
  for (;;) {
    if (await condition()) return;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// The server counts in whole ticks from the last ping, which came at most a third of the timeout before the
// freeze; one second is for a busy machine.
function withinTimeout(what, lasted) {
  const fine = lasted >= SESSION / 2 && lasted <= SESSION + 2 * TICK + 1000;
  assert.ok(fine, `${what}: took ${lasted} ms with a session timeout of ${SESSION} ms`);
}

// Collects watch events as [name, path].
class Events extends Array {
  watcher() {
    return (event) => this.push([event.getName(), event.getPath()]);
  }

  async expect(what, ...wanted) {
    await wait(what, () => this.length >= wanted.length);
    check(what, Array.from(this), wanted);
  }
}

// The client with promises instead of callbacks, and the states it went through.
class Client {
  constructor(address) {
    this.raw = zookeeper.createClient(address, { sessionTimeout: SESSION, spinDelay: 50 });
    this.states = [];
    this.raw.on('state', (state) => this.states.push(state.getName()));
  }

  call(method, ...args) {
    return new Promise((resolve, reject) => {
      this.raw[method](...args, (error, ...answer) => (error ? reject(error) : resolve(answer.length > 1 ? answer : answer[0])));
    });
  }

  count(state) {
    return this.states.filter((seen) => seen === state).length;
  }

  session() {
    return this.raw.getSessionId().toString('hex');
  }

  create(path, data = '', mode = zookeeper.CreateMode.PERSISTENT, acl = zookeeper.ACL.OPEN_ACL_UNSAFE) {
    return this.call('create', path, Buffer.from(data), acl, mode);
  }

  async text(path) {
    return (await this.call('getData', path))[0].toString();
  }

  async children(path, ...watcher) {
    return (await this.call('getChildren', path, ...watcher))[0].sort();
  }

  set(path, data, version = -1) {
    return this.call('setData', path, Buffer.from(data), version);
  }

  remove(path, version = -1) {
    return this.call('remove', path, version);
  }

  exists(path, ...watcher) {
    return this.call('exists', path, ...watcher);
  }

  commit(fill) {
    const transaction = this.raw.transaction();
    fill(transaction);
    return new Promise((resolve) => transaction.commit((error, results) => resolve({ error, results })));
  }
}

// The address under test, the proxy, and every client made, so that all are closed in the end.
class Bench {
  constructor(address, control) {
    this.address = address;
    const [host, port] = control.split(':');
    this.control = net.connect({ host, port: Number(port) });
    this.answers = readline.createInterface({ input: this.control })[Symbol.asyncIterator]();
    this.clients = [];
    this.failed = 0;
  }

  async proxy(command, name) {
    this.control.write(`${command} ${name}\n`);
    const { value } = await this.answers.next();
    if (!value || value.startsWith('error')) throw new Error(`proxy ${command} ${name}: ${value}`);
    return value;
  }

  // A connected client, directly (without a link) or over a link of the proxy.
  async client(link, chroot = '') {
    const address = link ? await this.proxy('open', link) : this.address;
    const made = new Client(address + chroot);
    made.raw.connect();
    this.clients.push(made);
    await wait('a session', () => made.count('SYNC_CONNECTED') === 1);
    check('session timeout granted', made.raw.getSessionTimeout(), SESSION);
    return made;
  }

  async step(name, run) {
    try {
      await run(this);
      console.log(`ok ${name}`);
    } catch (error) {
      this.failed += 1;
      console.log(`FAILED ${name}: ${error.message}\n${error.stack}`);
    } finally {
      this.clients.splice(0).forEach((made) => made.raw.close());
    }
  }
}

module.exports = { Bench, Events, PATIENCE, ROOT, SESSION, TICK, check, refused, wait, withinTimeout, zookeeper };
