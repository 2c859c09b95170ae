'use strict';
// Three web hosts read one configuration, two databases elect a master, and the master's host dies.

const { ROOT, SESSION, TICK, check, refused, wait, withinTimeout, zookeeper } = require('./harness');

const { CreateMode, Exception } = zookeeper;
const SHOP = `${ROOT}/shop`;

// A web host: keeps the configuration and the master's name by watches alone.
class Host {
  constructor(client) {
    this.client = client;
    this.configs = [];
    this.masters = [];
    this.knownAt = 0;
  }

  async start() {
    await this.follow(`${SHOP}/config`, (data, stat) => this.configs.push([stat.version, data]));
    await this.follow(`${SHOP}/master`, (data) => {
      this.masters.push(data);
      this.knownAt = Date.now();
    });
  }

  // Reads, tells, and leaves a watch that does the same again.
  async follow(path, tell) {
    const again = () => this.follow(path, tell).catch((error) => this.masters.push(String(error)));
    if (!(await this.client.exists(path))) {
      if (!(await this.client.exists(path, again))) return;
    }
    try {
      const [data, stat] = await this.client.call('getData', path, again);
      tell(data.toString(), stat);
    } catch (error) {
      if (error.code !== Exception.NO_NODE) throw error;
      await this.client.exists(path, again);
    }
  }

  master() {
    return this.masters[this.masters.length - 1];
  }
}

// A database host: creates the master's ephemeral, or waits until it is gone and tries again.
class Database {
  constructor(client, name, link) {
    Object.assign(this, { client, name, link, won: false, problem: null });
  }

  async runForMaster() {
    try {
      await this.client.create(`${SHOP}/master`, this.name, CreateMode.EPHEMERAL);
      this.won = true;
    } catch (error) {
      if (error.code !== Exception.NODE_EXISTS) throw error;
      const again = () => this.runForMaster().catch((problem) => { this.problem = problem; });
      if (!(await this.client.exists(`${SHOP}/master`, again))) await this.runForMaster();
    }
  }
}

async function story(bench) {
  const admin = await bench.client();
  await admin.create(SHOP);
  await admin.create(`${SHOP}/config`, 'config 0');
  const hosts = [];
  for (let number = 0; number < 3; number += 1) hosts.push(new Host(await bench.client()));
  for (const host of hosts) await host.start();
  const wanted = [[0, 'config 0']];
  for (let version = 1; version <= 5; version += 1) {
    await admin.set(`${SHOP}/config`, `config ${version}`, version - 1);
    wanted.push([version, `config ${version}`]);
    await wait('all hosts have the change', () => hosts.every((host) => host.configs.length > version));
  }
  for (const host of hosts) check('every change, once and in order', host.configs, wanted);
  const first = new Database(await bench.client('n-db-a'), 'db-a', 'n-db-a');
  const second = new Database(await bench.client('n-db-b'), 'db-b', 'n-db-b');
  await first.runForMaster();
  await second.runForMaster();
  check('one master', [first.won, second.won], [true, false]);
  await wait('all hosts know the master', () => hosts.every((host) => host.master() === 'db-a'));
  await masterDies(bench, hosts, first, second);
  await oldMasterReturns(bench, first);
}

async function masterDies(bench, hosts, first, second) {
  const began = Date.now();
  await bench.proxy('freeze', first.link);
  await wait('the other takes over', () => second.won, SESSION + 2 * TICK + 2000);
  await wait('all hosts know the new master', () => hosts.every((host) => host.master() === 'db-b'));
  for (const host of hosts) {
    withinTimeout('a host knows', host.knownAt - began);
    check('masters seen', host.masters, ['db-a', 'db-b']);
  }
  check('no problem on the way', second.problem, null);
}

async function oldMasterReturns(bench, first) {
  await bench.proxy('heal', first.link);
  await wait('it is told that its session is gone', () => first.client.count('EXPIRED') === 1);
  const fresh = await bench.client(first.link);
  const [data, stat] = await fresh.call('getData', `${SHOP}/master`);
  check('master by name', data.toString(), 'db-b');
  check('not by its old or new session', [first.client, fresh].some((one) => one.session() === stat.ephemeralOwner.toString('hex')), false);
  await refused('its claim', Exception.NODE_EXISTS, fresh.create(`${SHOP}/master`, first.name, CreateMode.EPHEMERAL));
}

module.exports = [story];
