'use strict';
// Steps on znodes: data, versions, errors, watches, access control, transactions, locks, masters.

const crypto = require('node:crypto');
const { Events, ROOT, SESSION, check, refused, wait, zookeeper } = require('./harness');

const { ACL, CreateMode, Exception, Id, Permission } = zookeeper;

async function create_read_exists(bench) {
  const client = await bench.client();
  check('created path', await client.create(ROOT), ROOT);
  check('created path', await client.create(`${ROOT}/node`, 'first'), `${ROOT}/node`);
  const [data, stat] = await client.call('getData', `${ROOT}/node`);
  check('data', data.toString(), 'first');
  check('stat', [stat.version, stat.cversion, stat.aversion, stat.dataLength, stat.numChildren], [0, 0, 0, 5, 0]);
  check('first and last change', stat.czxid.equals(stat.mzxid) && stat.czxid.equals(stat.pzxid), true);
  check('exists is the same stat', await client.exists(`${ROOT}/node`), stat);
  check('an absent node', await client.exists(`${ROOT}/absent`), null);
  check('children', await client.children(ROOT), ['node']);
}

async function set_delete_versions(bench) {
  const client = await bench.client();
  const path = `${ROOT}/versions`;
  await client.create(path, '0');
  for (let version = 0; version < 3; version += 1) {
    check('version after set', (await client.set(path, `x${version}`, version)).version, version + 1);
  }
  await refused('set at an old version', Exception.BAD_VERSION, client.set(path, '', 1));
  check('version after set at any version', (await client.set(path, '')).version, 4);
  await refused('delete at an old version', Exception.BAD_VERSION, client.remove(path, 3));
  await client.remove(path, 4);
  await refused('read after delete', Exception.NO_NODE, client.text(path));
}

async function error_codes(bench) {
  const client = await bench.client();
  const path = `${ROOT}/errors`;
  await client.create(path);
  await refused('create twice', Exception.NODE_EXISTS, client.create(path));
  await refused('create under nothing', Exception.NO_NODE, client.create(`${path}/a/b`));
  await refused('set of nothing', Exception.NO_NODE, client.set(`${path}/a`, ''));
  await refused('delete of nothing', Exception.NO_NODE, client.remove(`${path}/a`));
  await refused('children of nothing', Exception.NO_NODE, client.children(`${path}/a`));
  await refused('acl of nothing', Exception.NO_NODE, client.call('getACL', `${path}/a`));
  await client.create(`${path}/short`, '', CreateMode.EPHEMERAL);
  await refused('child of an ephemeral', Exception.NO_CHILDREN_FOR_EPHEMERALS, client.create(`${path}/short/a`));
  await refused('delete with a child', Exception.NOT_EMPTY, client.remove(path));
  const unknown = [new ACL(Permission.ALL, new Id('nosuch', 'x'))];
  await refused('unknown scheme', Exception.INVALID_ACL, client.create(`${path}/b`, '', CreateMode.PERSISTENT, unknown));
}

async function sequences_and_owners(bench) {
  const client = await bench.client();
  const path = `${ROOT}/sequences`;
  await client.create(path);
  check('first number', await client.create(`${path}/n-`, '', CreateMode.PERSISTENT_SEQUENTIAL), `${path}/n-0000000000`);
  await client.create(`${path}/plain`);
  check('a plain child counts', await client.create(`${path}/n-`, '', CreateMode.EPHEMERAL_SEQUENTIAL), `${path}/n-0000000002`);
  const stat = await client.exists(`${path}/n-0000000002`);
  check('owner is the session', stat.ephemeralOwner.toString('hex'), client.session());
}

async function data_watch(bench) {
  const [watcher, writer, path, events] = [await bench.client(), await bench.client(), `${ROOT}/data-watch`, new Events()];
  await writer.create(path, '1');
  await watcher.call('getData', path, events.watcher());
  await writer.set(path, '2');
  await events.expect('after set', ['NODE_DATA_CHANGED', path]);
  await writer.set(path, '3');
  check('data at the next read', await watcher.text(path), '3');
  check('a watch fires once', events.length, 1);
  await watcher.call('getData', path, events.watcher());
  await writer.remove(path);
  await events.expect('after delete', ['NODE_DATA_CHANGED', path], ['NODE_DELETED', path]);
}

async function child_watch(bench) {
  const [watcher, writer, path, events] = [await bench.client(), await bench.client(), `${ROOT}/child-watch`, new Events()];
  await writer.create(path);
  check('no children', await watcher.children(path, events.watcher()), []);
  await writer.set(path, 'not a child');
  check('the change is seen', await watcher.text(path), 'not a child');
  check('set is no change of children', events.length, 0);
  await writer.create(`${path}/a`);
  await events.expect('after create of a child', ['NODE_CHILDREN_CHANGED', path]);
  check('children', await watcher.children(path, events.watcher()), ['a']);
  await writer.remove(`${path}/a`);
  await events.expect('after delete of a child', ['NODE_CHILDREN_CHANGED', path], ['NODE_CHILDREN_CHANGED', path]);
}

async function exists_watch(bench) {
  const [watcher, writer, path, events] = [await bench.client(), await bench.client(), `${ROOT}/exists-watch`, new Events()];
  const wanted = [];
  const steps = [
    ['NODE_CREATED', () => writer.create(path)],
    ['NODE_DATA_CHANGED', () => writer.set(path, 'x')],
    ['NODE_DELETED', () => writer.remove(path)],
  ];
  for (const [name, act] of steps) {
    await watcher.exists(path, events.watcher());
    await act();
    wanted.push([name, path]);
    await events.expect(`after ${name}`, ...wanted);
  }
}

async function digest_acl(bench) {
  const path = `${ROOT}/secret`;
  const [owner, stranger] = [await bench.client(), await bench.client()];
  owner.raw.addAuthInfo('digest', Buffer.from('ann:pass'));
  stranger.raw.addAuthInfo('digest', Buffer.from('ann:wrong'));
  await owner.create(path, 'mine', CreateMode.PERSISTENT, ACL.CREATOR_ALL_ACL);
  await refused('read', Exception.NO_AUTH, stranger.text(path));
  await refused('write', Exception.NO_AUTH, stranger.set(path, ''));
  await refused('create below', Exception.NO_AUTH, stranger.create(`${path}/a`));
  const digest = crypto.createHash('sha1').update('ann:pass').digest('base64');
  const [stored] = await owner.call('getACL', path);
  check('stored acl', stored.map((acl) => [acl.permission, acl.id.scheme, acl.id.id]), [[31, 'digest', `ann:${digest}`]]);
  const both = [...stored, new ACL(Permission.READ, Id.ANYONE_ID_UNSAFE)];
  await refused('acl at an old version', Exception.BAD_VERSION, owner.call('setACL', path, both, 7));
  check('acl version', (await owner.call('setACL', path, both, 0)).aversion, 1);
  check('read by anyone', await stranger.text(path), 'mine');
  await refused('write by anyone', Exception.NO_AUTH, stranger.set(path, ''));
  stranger.raw.addAuthInfo('digest', Buffer.from('ann:pass'));
  check('write after auth', (await stranger.set(path, '')).version, 1);
}

async function transactions(bench) {
  const client = await bench.client();
  const path = `${ROOT}/multi`;
  await client.create(path);
  await client.create(`${path}/old`, '0');
  const good = await client.commit((t) => t.check(`${path}/old`).create(`${path}/new`, Buffer.from('1'))
    .setData(`${path}/new`, Buffer.from('2')).remove(`${path}/old`));
  check('error', good.error, null);
  check('kinds of results', good.results.map((result) => result.type), [13, 1, 5, 2]);
  check('created', good.results[1].path, `${path}/new`);
  check('version', good.results[2].stat.version, 1);
  check('set in the same transaction', await client.text(`${path}/new`), '2');
  const bad = await client.commit((t) => t.create(`${path}/never`).check(`${path}/new`, 9).remove(`${path}/new`));
  check('error of the whole', bad.error.code, Exception.BAD_VERSION);
  check('errors', bad.results.map((result) => result.err), [0, Exception.BAD_VERSION, Exception.RUNTIME_INCONSISTENCY]);
  check('all or nothing', await client.children(path), ['new']);
}

async function large_and_many(bench) {
  const client = await bench.client();
  const path = `${ROOT}/large`;
  const large = Buffer.alloc(1000000, '0123456789');
  await client.create(path, large);
  check('large data', (await client.call('getData', path))[0].equals(large), true);
  const made = await Promise.all(Array.from({ length: 1000 }, () => client.create(`${path}/n-`, 'x', CreateMode.EPHEMERAL_SEQUENTIAL)));
  check('answers in order', made, Array.from({ length: 1000 }, (_, number) => `${path}/n-${String(number).padStart(10, '0')}`));
  check('children', (await client.children(path)).length, 1000);
}

async function chroot(bench) {
  const outer = await bench.client();
  const path = `${ROOT}/chroot`;
  await outer.create(path);
  const [inner, events] = [await bench.client(undefined, path), new Events()];
  await inner.exists('/é', events.watcher());
  check('path inside', await inner.create('/é', 'in'), '/é');
  await events.expect('event path inside', ['NODE_CREATED', '/é']);
  check('path outside', await outer.text(`${path}/é`), 'in');
}

// The lock recipe: the lowest number holds; each other waits for the one before it.
async function acquire(client, path) {
  const mine = await client.create(`${path}/n-`, '', CreateMode.EPHEMERAL_SEQUENTIAL);
  for (;;) {
    const names = await client.children(path);
    const place = names.indexOf(mine.slice(path.length + 1));
    if (place === 0) return mine;
    const events = new Events();
    if (await client.exists(`${path}/${names[place - 1]}`, events.watcher())) {
      await wait('the one before leaves', () => events.length > 0);
    }
  }
}

async function contended_lock(bench) {
  const path = `${ROOT}/lock`;
  const clients = [await bench.client(), await bench.client()];
  await clients[0].create(path);
  let [inside, together, turns] = [0, 0, 0];
  await Promise.all(clients.map(async (client) => {
    for (let turn = 0; turn < 5; turn += 1) {
      const held = await acquire(client, path);
      inside += 1;
      if (inside > 1) together += 1;
      await client.children(path);
      turns += 1;
      inside -= 1;
      await client.remove(held);
    }
  }));
  check('turns, and two at once inside', [turns, together], [10, 0]);
  const first = await acquire(clients[0], path);
  let second = null;
  const pending = acquire(clients[1], path).then((held) => { second = held; });
  await wait('both stand in line', async () => (await clients[0].children(path)).length === 2);
  check('the second waits', second, null);
  await clients[0].remove(first);
  await pending;
  check('the second holds', second > first, true);
}

async function elected_master(bench) {
  const path = `${ROOT}/election`;
  const [admin, first, second] = [await bench.client(), await bench.client(), await bench.client()];
  await admin.create(path);
  await first.create(`${path}/n-`, 'a', CreateMode.EPHEMERAL_SEQUENTIAL);
  await second.create(`${path}/n-`, 'b', CreateMode.EPHEMERAL_SEQUENTIAL);
  const leader = async (client) => client.text(`${path}/${(await client.children(path))[0]}`);
  check('both see one master', [await leader(first), await leader(second)], ['a', 'a']);
  const events = new Events();
  await second.children(path, events.watcher());
  first.raw.close();
  await events.expect('the master leaves', ['NODE_CHILDREN_CHANGED', path]);
  check('the other leads', await leader(second), 'b');
}

async function close_is_at_once(bench) {
  const [client, other, path, events] = [await bench.client(), await bench.client(), `${ROOT}/closing`, new Events()];
  await client.create(path, '', CreateMode.EPHEMERAL);
  await other.exists(path, events.watcher());
  client.raw.close();
  await wait('the ephemeral goes before its session could time out', () => events.length === 1, SESSION / 2);
  await events.expect('event', ['NODE_DELETED', path]);
  check('gone', await other.exists(path), null);
}

module.exports = [create_read_exists, set_delete_versions, error_codes, sequences_and_owners, data_watch, child_watch, exists_watch,
  digest_acl, transactions, large_and_many, chroot, contended_lock, elected_master, close_is_at_once];
